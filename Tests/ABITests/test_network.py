"""Networks from outside: seeds, parameters, metadata, builder, folding; failures leave the object as it was."""

import ctypes
import json

import pytest

import abi
from abi import Failure
from calls import RELU_ONNX
from conftest import CNN, close, noise


def test_the_same_seed_gives_the_same_bits(renga):
    first, again, other = (renga.made("network_create", b"cnn", CNN, seed) for seed in (5, 5, 6))
    assert renga.weights(first) == renga.weights(again)
    assert renga.weights(first) != renga.weights(other)
    for handle in (first, again, other):
        renga.network_free(handle)


def test_unknown_names_list_the_known_ones(renga, network):
    with pytest.raises(Failure, match="cnn.*resnet") as failure:
        renga.made("network_create", b"resnt", None, 1)
    assert failure.value.status == abi.ERROR_NOT_FOUND
    with pytest.raises(Failure, match="depht.*known: .*depth"):
        renga.made("network_create", b"resnet", b"depht=20", 1)
    with pytest.raises(Failure, match="stages.*1...8.*900") as failure:
        renga.made("network_create", b"cnn", b"stages=900", 1)
    assert failure.value.status == abi.ERROR_INVALID_ARGUMENT
    with pytest.raises(Failure, match="no parameter 'nothing'"):
        renga.network_get_parameter(network, b"nothing", noise(1), 1)


@pytest.mark.parametrize(
    ("architecture", "options", "sentence"),
    [
        (b"dmrnet", b"branches=0", "dmrnet: option 'branches' .*1...8.*'0'"),
        (b"inception", b"branches=9", "option 'branches' .*1...8.*'9'"),
        (b"pyramidnet", b"alpha=-3", "option 'alpha' .*0.0...10000.0.*'-3'"),
        (b"resnet", b"depth=21", "option 'depth' .*6n.2.*21"),
        (b"dmrnet", b"depth=12,block=bottleneck", "option 'depth' .*9n.2.*12"),
        (b"pyramidnet", b"survival=0", "option 'survival' .*'0'"),
        (b"pyramidnet", b"survival=1.01", "option 'survival' .*1.0.*'1.01'"),
        (b"resnet", b"classes=1", "option 'classes' .*2...1000000.*'1'"),
        (b"dmrnet", b"depth=8,width=4096,widen=64", "'width'=4096 and 'widen'=64.*262144"),
        (b"pyramidnet", b"depth=8,alpha=10000,widening=mul,width=4096", "option 'alpha' .*262144.*10000"),
        (b"dmrnet", b"mapping=custom,mixing=1 1; 1 1", "option 'mixing' .*idempotent"),
    ],
)
def test_bad_options_are_named_with_bounds_and_value(renga, architecture, options, sentence):
    with pytest.raises(Failure, match=sentence) as failure:
        renga.made("network_create", architecture, options, 1)
    assert failure.value.status == abi.ERROR_INVALID_ARGUMENT


def test_info_and_descriptions_agree(renga, network):
    info = abi.NetworkInfo()
    renga.network_info_init(ctypes.byref(info), ctypes.sizeof(info))
    renga.network_get_info(network, ctypes.byref(info))
    described = json.loads(renga.text("network_describe", network, abi.DESCRIPTION_JSON))
    assert described["parameters"] == info.parameters > 0
    assert described["macs"] == info.macs > 0
    assert (info.inputs, info.outputs) == (1, 1)
    assert info.input_shape.extents() == (1, 8, 8, 1) and info.output_shape.extents() == (1, 1, 1, 3)
    assert renga.text("network_describe", network, abi.DESCRIPTION_DOT).startswith("digraph")
    with pytest.raises(Failure, match="form is 3"):
        renga.text("network_describe", network, 3)


def test_listings_are_json_with_bounds(renga):
    for name, noun in (("architectures", "architectures"), ("operators", "operators")):
        for entry in json.loads(renga.text(name))[noun]:
            for option in entry["options"]:
                assert option["name"] and option["documentation"] and option["kind"] in ("integer", "number", "flag", "choice", "size", "numbers")
    recipes = json.loads(renga.text("recipes"))
    assert {"name", "kind", "default"} <= set(recipes["options"][0]) and recipes["presets"]


def test_parameters_round_trip(renga, network):
    name, dimensions = next(iter(renga.parameters(network).items()))
    count = 1
    for extent in dimensions:
        count *= extent
    values = noise(count, 9)
    renga.network_set_parameter(network, name.encode(), values, count)
    read = (ctypes.c_float * count)()
    renga.network_get_parameter(network, name.encode(), read, count)
    assert bytes(read) == bytes(values)


def test_a_failed_set_changes_nothing(renga, network):
    before = renga.weights(network)
    name, dimensions = next(iter(renga.parameters(network).items()))
    values = noise(10000)
    for count in (0, 1, 10000, 2**63, 2**64 - 1):
        with pytest.raises(Failure) as failure:
            renga.network_set_parameter(network, name.encode(), values, count)
        assert failure.value.status == abi.ERROR_SHAPE_MISMATCH and name in failure.value.message
    assert renga.status("network_set_parameter", network, b"nothing", values, 1) == abi.ERROR_NOT_FOUND
    assert renga.status("network_set_parameter", network, name.encode(), None, 36) == abi.ERROR_NULL_POINTER
    assert renga.weights(network) == before


def test_clone_is_independent(renga, network):
    clone = renga.made("network_clone", network)
    name = next(iter(renga.parameters(network)))
    before = renga.weights(clone)
    renga.network_set_parameter(network, name.encode(), noise(36, 4), 36)
    assert renga.weights(clone) == before != renga.weights(network)
    renga.network_free(clone)


def test_metadata(renga, network):
    assert renga.text("network_get_metadata", network, b"absent") is None
    renga.network_set_metadata(network, b"note", "Grüße, 世界".encode())
    assert renga.text("network_get_metadata", network, b"note") == "Grüße, 世界"
    renga.network_set_metadata(network, b"note", None)
    assert renga.text("network_get_metadata", network, b"note") is None
    with pytest.raises(Failure, match="key is empty"):
        renga.network_set_metadata(network, b"", b"x")


def build(renga, layers, h=8, w=8, c=3):
    builder, value = renga.made("builder_create"), ctypes.c_int32()
    renga.builder_add_input(builder, None, h, w, c, ctypes.byref(value))
    for op, attributes in layers:
        below = ctypes.c_int32(value.value)
        renga.builder_add_layer(builder, op, attributes, None, ctypes.byref(below), 1, ctypes.byref(value))
    return builder, value


def test_builder(renga):
    builder, value = build(renga, [(b"convolution", b"channels=4,kernel=3,pad=1"), (b"relu", None)])
    shape = abi.Shape()
    renga.builder_shape(builder, value, ctypes.byref(shape))
    assert shape.extents() == (1, 8, 8, 4)
    # What is refused leaves the builder as it was: the next layer gets the next number.
    out = ctypes.c_int32(7)
    for op, attributes, inputs in ((b"convolutoin", None, 0), (b"convolution", b"channels=0,kernel=3", 0), (b"linear", b"units=3", 0),
                                   (b"relu", None, 99), (b"add", None, 0)):
        source = (ctypes.c_int32 * 1)(inputs)
        assert renga.status("builder_add_layer", builder, op, attributes, None, source, 1, ctypes.byref(out)) != abi.OK
        assert out.value == -1
    renga.builder_add_layer(builder, b"relu", None, b"last", ctypes.byref(value), 1, ctypes.byref(out))
    assert out.value == value.value + 1
    for rule in (b"he_fan_in", b"he_fan_out", b"orthogonal", b"uniform", None):
        network = renga.made("builder_finish", builder, ctypes.byref(out), 1, rule, 1)
        renga.network_free(network)
    with pytest.raises(Failure, match="known: he_fan_in"):
        renga.made("builder_finish", builder, ctypes.byref(out), 1, b"zeros", 1)
    renga.builder_free(builder)


def test_huge_layers_are_refused_and_not_allocated(renga):
    builder, value = build(renga, [], 64, 64, 1)
    out = ctypes.c_int32()
    status = renga.status("builder_add_layer", builder, b"convolution", b"channels=1073741824,kernel=1024,pad=512", None,
                          ctypes.byref(value), 1, ctypes.byref(out))
    assert status in (abi.ERROR_INVALID_ARGUMENT, abi.ERROR_SHAPE_MISMATCH)
    renga.builder_free(builder)


def test_fold_keeps_the_answers(renga):
    network = renga.made("network_create", b"resnet", b"depth=8,input=16x16x3", 3)
    folded, report = ctypes.c_void_p(), ctypes.c_void_p()
    renga.network_fold_batch_norm(network, ctypes.byref(folded), ctypes.byref(report))
    assert json.loads(ctypes.string_at(report))["folded"] > 0
    renga.text_free(report)
    assert len(renga.parameters(folded)) < len(renga.parameters(network))
    images, answers = noise(2 * 16 * 16 * 3), []
    for handle in (network, folded):
        session = renga.session(handle, batch=2, threads=1, fold_batch_norm=0)
        scores = (ctypes.c_float * 20)()
        renga.session_run(session, ctypes.byref(abi.source(images, 2, 16, 16, 3)), scores, 20, 0)
        answers.append(list(scores))
        renga.session_free(session)
        renga.network_free(handle)
    assert close(*answers, tolerance=1e-4) and answers[0] != [0] * 20


def taken(renga, out):
    """Text that came out, freed."""
    text = ctypes.string_at(out).decode()
    renga.text_free(out)
    return json.loads(text)


def test_onnx_is_imported_or_refused_with_a_list(renga):
    def status_of(data):
        return renga.status(
            "network_import_onnx_memory", data, len(data), None, ctypes.byref(out), ctypes.byref(report))

    out, report = ctypes.c_void_p(), ctypes.c_void_p()
    assert status_of(RELU_ONNX) == abi.OK and out.value
    told = taken(renga, report)
    assert told["layers"] == 1 and told["unsupported"] == [] and told["inputs"][0]["layout"] == "nchw"
    renga.network_free(out)
    assert status_of(RELU_ONNX.replace(b"Relu", b"Erf?")) == abi.ERROR_UNSUPPORTED
    assert not out.value and "Erf?" in renga.message()
    assert [one["operator"] for one in taken(renga, report)["unsupported"]] == ["Erf?"]
    assert status_of(RELU_ONNX[:9]) == abi.ERROR_CORRUPT_DATA and not out.value and not report.value
