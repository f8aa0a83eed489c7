"""Versions and structs that grow: older and newer hosts than this library, and sizes that no struct has."""

import ctypes

import pytest

import abi


def create(renga, network, buffer):
    out = ctypes.c_void_p()
    status = renga.status("session_create", network, buffer, ctypes.byref(out))
    renga.session_free(out)
    return status


def test_init_stays_inside_the_callers_size(renga):
    """A host built with an older, shorter struct: not a byte beyond it is touched."""
    for size in range(8, ctypes.sizeof(abi.SessionOptions) + 1, 8):
        buffer = ctypes.create_string_buffer(b"\xa5" * 256, 256)
        renga.session_options_init(buffer, size)
        assert buffer.raw[size:] == b"\xa5" * (256 - size)
        assert int.from_bytes(buffer.raw[:8], "little") == size
    for init in ("network_info_init", "strided_init", "memory_init", "session_options_init", "trainer_options_init"):
        buffer = ctypes.create_string_buffer(b"\xa5" * 256, 256)
        for size in (0, 7, 9, 2**20, 2**63, 2**64 - 1):
            getattr(renga, init)(buffer, size)
            getattr(renga, init)(None, size)
        assert buffer.raw == b"\xa5" * 256


def test_an_older_host_gets_defaults_for_what_it_does_not_know(renga, network):
    for size in range(8, ctypes.sizeof(abi.SessionOptions) + 1, 8):
        buffer = ctypes.create_string_buffer(b"\xff" * 256, 256)
        renga.session_options_init(buffer, size)
        assert create(renga, network, buffer) == abi.OK, renga.message()


def test_a_newer_host_may_leave_new_fields_empty_but_not_set_them(renga, network):
    known = ctypes.sizeof(abi.SessionOptions)
    buffer = ctypes.create_string_buffer(known + 64)
    renga.session_options_init(buffer, known + 64)
    assert create(renga, network, buffer) == abi.OK
    buffer[known + 16] = b"\x01"
    assert create(renga, network, buffer) == abi.ERROR_UNSUPPORTED
    assert f"byte {known + 16}" in renga.message()


@pytest.mark.parametrize("size", [0, 1, 7, 9, 63, 4104, 2**31, 2**63, 2**64 - 1])
def test_sizes_that_no_struct_has(renga, network, size):
    options, info = abi.SessionOptions(), abi.NetworkInfo()
    options.size = info.size = size
    assert create(renga, network, ctypes.byref(options)) == abi.ERROR_INVALID_ARGUMENT
    assert "size" in renga.message() and "_init" in renga.message()
    assert renga.status("network_get_info", network, ctypes.byref(info)) == abi.ERROR_INVALID_ARGUMENT


def test_results_stay_inside_the_callers_size(renga, network):
    whole = abi.NetworkInfo()
    renga.network_info_init(ctypes.byref(whole), ctypes.sizeof(whole))
    renga.network_get_info(network, ctypes.byref(whole))
    expected = bytes(whole)
    for size in (16, 24, 32, ctypes.sizeof(whole), ctypes.sizeof(whole) + 32):
        buffer = ctypes.create_string_buffer(b"\xa5" * 256, 256)
        renga.network_info_init(buffer, size)
        renga.network_get_info(network, buffer)
        known = min(size, len(expected))
        assert buffer.raw[8:known] == expected[8:known]
        assert buffer.raw[known:size] == bytes(size - known) and buffer.raw[size:] == b"\xa5" * (256 - size)


def test_versions(renga):
    number = abi.VERSION_MAJOR * 10000 + abi.VERSION_MINOR * 100 + abi.VERSION_PATCH
    assert renga.version_number() == number
    assert renga.version().decode() == f"{abi.VERSION_MAJOR}.{abi.VERSION_MINOR}.{abi.VERSION_PATCH}"
    for header in (number, number + 1, abi.VERSION_OLDEST):
        renga.version_check(header)
    for header, words in ((number + 100, "library .* older"), (number + 10000, "library .* older"), (abi.VERSION_OLDEST - 1, "header .* older")):
        with pytest.raises(abi.Failure, match=words) as failure:
            renga.version_check(header)
        assert failure.value.status == abi.ERROR_UNSUPPORTED
    for nonsense in (0, -1, 2**31 - 1, -2**31):
        assert renga.status("version_check", nonsense) == abi.ERROR_INVALID_ARGUMENT


def test_status_names(renga):
    codes = {name: value for name, value in abi.CONSTANTS.items() if name.startswith("RENGA_ERROR_") or name in ("RENGA_OK", "RENGA_CANCELLED")}
    assert len(codes) == 13
    for name, value in codes.items():
        assert renga.status_name(value).decode() == name
    for other in (-1, 12, 98, 100, 2**31 - 1):
        assert renga.status_name(other) == b"unknown status"
