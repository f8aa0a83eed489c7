"""Every function of the header with NULL for each pointer, wrong handles and hostile numbers: a status, a sentence, the process alive,
the out-parameters cleared. The list of functions is the header's own."""

import ctypes

import pytest

import abi
import calls

STATUS_FUNCTIONS = [name for name, function in abi.FUNCTIONS.items() if function.returns_status]
POINTERS = [(name, index) for name in STATUS_FUNCTIONS
            for index, parameter in enumerate(abi.FUNCTIONS[name].parameters) if parameter.is_pointer]
HANDLES = [(name, index) for name in STATUS_FUNCTIONS
           for index, parameter in enumerate(abi.FUNCTIONS[name].parameters) if parameter.handle]
NUMBERS = [(name, index) for name in STATUS_FUNCTIONS
           for index, parameter in enumerate(abi.FUNCTIONS[name].parameters) if not parameter.is_pointer]
FREES = [name for name in abi.FUNCTIONS if name.endswith("_free") and name != "renga_text_free"]


def identify(case):
    return f"{case[0]}-{abi.FUNCTIONS[case[0]].parameters[case[1]].name}"


def call(world, name, arguments):
    status = getattr(world.renga.library, name)(*calls.passed(arguments))
    if status == abi.OK:
        calls.release(world.renga, name, arguments)
    return status


def check_outs(name, arguments, skip=None):
    """After a failure every out-parameter for a handle, text or name is NULL."""
    for index, argument in enumerate(arguments):
        if isinstance(argument, calls.Out) and index != skip and "* *" in abi.FUNCTIONS[name].parameters[index].type:
            assert argument.is_clear, f"{name}: out-parameter {index} keeps garbage after a failure"


@pytest.mark.parametrize("name", STATUS_FUNCTIONS)
def test_valid_call(world, name):
    assert call(world, name, calls.arguments(world, name)) == abi.OK, world.renga.message()


@pytest.mark.parametrize("case", POINTERS, ids=identify)
def test_null_for_each_pointer(world, case):
    name, index = case
    parameter = abi.FUNCTIONS[name].parameters[index]
    arguments = calls.arguments(world, name)
    arguments[index] = abi.ProgressFn() if parameter.type == "renga_progress_fn" else None
    status = call(world, name, arguments)
    if (name, parameter.name) in calls.OPTIONAL:
        assert status == abi.OK, world.renga.message()
    else:
        assert status == abi.ERROR_NULL_POINTER
        assert parameter.name in world.renga.message() and "NULL" in world.renga.message()
        check_outs(name, arguments, skip=index)


@pytest.mark.parametrize("case", HANDLES, ids=identify)
def test_handle_of_another_kind(world, case):
    name, index = case
    parameter = abi.FUNCTIONS[name].parameters[index]
    other = world.builder if parameter.handle != "renga_builder" else world.network
    stranger = ctypes.create_string_buffer(128)
    address = (ctypes.addressof(stranger) + 63) // 64 * 64
    for wrong in (other, address, address + 3):
        arguments = calls.arguments(world, name)
        arguments[index] = wrong
        assert call(world, name, arguments) == abi.ERROR_INVALID_ARGUMENT
        assert parameter.name in world.renga.message() and parameter.handle in world.renga.message()
        check_outs(name, arguments)


@pytest.mark.parametrize("case", NUMBERS, ids=identify)
def test_hostile_numbers(world, case):
    """Whatever the number: a status at once, and a sentence where it is refused. In-range values that mean long work are left out."""
    name, index = case
    parameter = abi.FUNCTIONS[name].parameters[index]
    numbers = [-1, 0, 2**31 - 1, -2**31]
    if parameter.type != "int32_t":
        numbers += [2**62, 2**63 - 1, -2**63, 2**64 - 1]
    if name == "renga_network_load_memory":
        # A size that is a lie about memory cannot be told from a true one, unless no object can have it.
        numbers = [0, 1, 2**63, 2**64 - 1]
    for number in numbers:
        arguments = calls.arguments(world, name)
        arguments[index] = number
        status = call(world, name, arguments)
        assert status in (abi.OK, abi.ERROR_INVALID_ARGUMENT, abi.ERROR_SHAPE_MISMATCH, abi.ERROR_UNSUPPORTED,
                          abi.ERROR_OUT_OF_MEMORY, abi.ERROR_CORRUPT_DATA)
        if status != abi.OK:
            assert len(world.renga.message()) > 10
            check_outs(name, arguments)


@pytest.mark.parametrize("name", FREES)
def test_free_of_null_and_of_another_kind(world, name):
    kind = name.removeprefix("renga_").removesuffix("_free")
    free = getattr(world.renga.library, name)
    free(None)
    other = world.builder if kind != "builder" else world.network
    free(other)
    # The other object lives on.
    function = "renga_builder_shape" if kind != "builder" else "renga_network_get_info"
    assert call(world, function, calls.arguments(world, function)) == abi.OK


def test_every_handle_has_a_free():
    assert sorted(FREES) == sorted(f"{name}_free" for name in abi.HANDLES)


def test_text_free_of_null(renga):
    renga.text_free(None)


@pytest.mark.parametrize("extent", ["n", "h", "w", "c"])
@pytest.mark.parametrize("value", [0, -1, 2**30 + 1, 2**40, 2**62, -2**63, 2**63 - 1])
@pytest.mark.parametrize("name", ["renga_session_run", "renga_dataset_create", "renga_trainer_step"])
def test_hostile_source_shapes(world, name, extent, value):
    arguments = calls.arguments(world, name)
    images = next(argument for argument in arguments if isinstance(argument, abi.Source))
    setattr(images.shape, extent, value)
    assert call(world, name, arguments) in (abi.ERROR_INVALID_ARGUMENT, abi.ERROR_SHAPE_MISMATCH)
    assert len(world.renga.message()) > 10


def test_overflowing_source_shape(world):
    arguments = calls.arguments(world, "renga_session_run")
    arguments[1].shape = abi.Shape(2**30, 2**30, 2**30, 2**30)
    assert call(world, "renga_session_run", arguments) == abi.ERROR_INVALID_ARGUMENT


@pytest.mark.parametrize("field,value", [("element", 2), ("element", -1), ("layout", 3), ("layout", -2**31)])
@pytest.mark.parametrize("name", ["renga_session_run", "renga_session_run_many", "renga_dataset_create", "renga_trainer_step"])
def test_wrong_element_and_layout(world, name, field, value):
    arguments = calls.arguments(world, name)
    images = next(argument for argument in arguments if isinstance(argument, abi.Source))
    setattr(images, field, value)
    assert call(world, name, arguments) == abi.ERROR_INVALID_ARGUMENT
    assert field in world.renga.message()


@pytest.mark.parametrize("name", ["renga_session_run", "renga_dataset_create", "renga_trainer_step"])
def test_source_without_data(world, name):
    arguments = calls.arguments(world, name)
    next(argument for argument in arguments if isinstance(argument, abi.Source)).data = None
    assert call(world, name, arguments) == abi.ERROR_NULL_POINTER
    assert "data" in world.renga.message()


@pytest.mark.parametrize("case", [case for case in POINTERS if abi.FUNCTIONS[case[0]].parameters[case[1]].type == "const char *"],
                         ids=identify)
def test_hostile_text(world, case):
    name, index = case
    for text in (b"", b"\xff\xfe", b"x" * (abi.MAX_TEXT + 1), b"a" * 5000, b"=,=,=", b"%s%n\n\x01"):
        arguments = calls.arguments(world, name)
        arguments[index] = text
        status = call(world, name, arguments)
        if b"\xff" in text or len(text) > abi.MAX_TEXT:
            assert status == abi.ERROR_INVALID_ARGUMENT
            assert abi.FUNCTIONS[name].parameters[index].name in world.renga.message()
        if status != abi.OK:
            assert 10 < len(world.renga.message().encode()) < abi.MAX_MESSAGE


def test_message_is_cut_at_a_character(world):
    """A sentence longer than the buffer ends where a character ends."""
    long = ("é" * 900).encode()
    assert world.renga.status("network_load", long, ctypes.byref(ctypes.c_void_p())) == abi.ERROR_FILE
    message = world.renga.library.renga_last_error()
    assert message.decode() and len(message) < abi.MAX_MESSAGE
