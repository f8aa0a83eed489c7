"""What programs that are already built rely on: the recorded ABI, proof that a breach is found and that growth is not one, and a program
with the header of 0.1.0 against this library. How the record is made: record.py."""

import re
import shutil

import pytest

import abi
import record
from test_programs import STRICT_C, run

HEADER = record.HEADER.read_text(encoding="utf-8")
CHANGES = record.CHANGELOG.read_text(encoding="utf-8")
RECORDED = abi.ROOT / "Tests" / "ABITests" / "recorded"
# Sections and fields that changes below are made to: what stands in the header now, and what instead.
FIELD = r"(  int32_t linear_weights; )"
END = r"(#ifdef __cplusplus\n\}\n#endif\n\n#endif)"


def changed(pattern, replacement):
    text, count = re.subn(pattern, replacement, HEADER, count=1)
    assert count == 1, f"the header has no longer: {pattern}"
    return text


@pytest.fixture(scope="module")
def present(tmp_path_factory):
    """The present header's own record, so that the changes below are judged alone, whatever it brought since the last one."""
    folder = tmp_path_factory.mktemp("present")
    shutil.copy(record.abi_of(HEADER, record.soname(), folder), folder / "present.abi")
    return folder / "present.abi"


def test_the_header_keeps_the_recorded_abi():
    assert record.verdict(HEADER, record.soname(), CHANGES) is None


def test_the_header_keeps_what_0_1_0_promised(tmp_path):
    """Straight from that version's header: a record that was taken anew cannot have forgotten it."""
    old = record.abi_of((RECORDED / "renga-0.1.0.h").read_text(encoding="utf-8"), "librenga.so.0", tmp_path)
    assert record.breaks(HEADER, record.soname(), old) == []


BREACHES = {
    "a function is gone": (r"RENGA_API int32_t renga_default_threads\(void\);", ""),
    "a function has another name": (r"renga_default_threads\(void\)", "renga_threads(void)"),
    "a parameter is of another size": (r"(renga_network_describe\(const renga_network \*network, )int32_t", r"\1int64_t"),
    "a parameter is another object": (r"(renga_session_run\()renga_session", r"\1renga_network"),
    "a parameter is new": (r"renga_default_threads\(void\)", "renga_default_threads(int32_t of)"),
    "parameters change places": (r"const char \*name, float \*values,", "float *values, const char *name,"),
    "a function returns something else": (r"RENGA_API int32_t renga_version_number", "RENGA_API int64_t renga_version_number"),
    "a callback gets something else": (r"(const renga_progress \*progress, )void \*user_data\);", r"\1int64_t user_data);"),
    "a field is gone": (r"  int64_t macs; ", ""),
    "fields change places": (r"  int64_t parameters; (.*\n)  int64_t macs; ", r"  int64_t macs; \1  int64_t parameters; "),
    "a field is of another type": (r"  int64_t memory_budget;", "  double memory_budget;"),
    "a field is in the middle": (r"(  int32_t tune; )", r"  int32_t between;\n\1"),
    "a field in the middle and one at the end": (r"  int32_t precision; (.*\n.*\n)" + FIELD, r"  int64_t precision; \1\2 int64_t last; "),
    "a field at the end of a struct without size": (r"(  int32_t layout; )", r"\1 int64_t last; "),
    "a code has another number": (r"RENGA_ERROR_FILE = 5", "RENGA_ERROR_FILE = 12"),
    "a code is gone": (r"  RENGA_CANCELLED = 8,.*\n", ""),
    "codes change places": (r"RENGA_NHWC = 0, RENGA_NCHW = 1", "RENGA_NHWC = 1, RENGA_NCHW = 0"),
    "a code that no function names has another number": (r"RENGA_PRECISION_BF16 = 1", "RENGA_PRECISION_BF16 = 2"),
    "a bound is higher": (r"RENGA_MAX_RANK 4", "RENGA_MAX_RANK 5"),
}

GROWTH = {
    "nothing": (END, r"\1"),
    "a function": (END, r"RENGA_API int32_t renga_new(const renga_network *network);\n\1"),
    "a type with functions": (END, r"typedef struct renga_thing { size_t size; } renga_thing;\nRENGA_API void renga_new(renga_thing *a);\n\1"),
    "a field at the end": (FIELD, r"\1 int64_t last; "),
    "a field in the room at the end": (FIELD, r"\1 int32_t last; "),
    "fields at the end": (FIELD, r"\1 int32_t a; int64_t b; const char *c; "),
    "a code": (r"(RENGA_ERROR_NOT_FOUND = 11,)", r"\1 RENGA_ERROR_NEW = 12,"),
    "a bound": (r"(#define RENGA_MAX_RANK 4)", r"#define RENGA_MAX_NEW 9\n\1"),
    "a comment": (r"(RENGA_API int32_t renga_default_threads)", r"/* Other words. */\n\1"),
}


@pytest.mark.parametrize("change", BREACHES.values(), ids=BREACHES)
def test_a_breach_is_found(present, change):
    assert record.breaks(changed(*change), record.soname(), present) != []
    assert "change the SONAME" in record.verdict(changed(*change), record.soname(), CHANGES, present)


@pytest.mark.parametrize("change", GROWTH.values(), ids=GROWTH)
def test_growth_is_no_breach(present, change):
    assert record.breaks(changed(*change), record.soname(), present) == []


def test_a_new_soname_must_be_announced(present):
    """A breach lands with a new SONAME, its line in the changes and RENGA_VERSION_OLDEST raised: all three."""
    version = {"MAJOR": 2, "MINOR": 0, "PATCH": 0, "OLDEST": 20000}
    broken = changed(*BREACHES["a function is gone"])
    for part, number in version.items():
        broken = re.sub(rf"#define RENGA_VERSION_{part} \d+", f"#define RENGA_VERSION_{part} {number}", broken)
    announced = CHANGES + "\n- abi: the SONAME is librenga.so.9 now: a function is gone.\n"
    assert "no line" in record.verdict(broken, "librenga.so.9", CHANGES, present)
    assert "RENGA_VERSION_OLDEST" in record.verdict(broken.replace("OLDEST 20000", "OLDEST 100"), "librenga.so.9", announced, present)
    assert record.verdict(broken, "librenga.so.9", announced, present) is None


def test_the_soname_of_the_package_is_that_of_the_library():
    assert f"[{record.soname()}]" in run("readelf", "-dW", abi.LIBRARY).stdout


@pytest.mark.parametrize("sanitizer", [[], ["-fsanitize=address"]], ids=["plain", "address"])
def test_a_program_of_0_1_0_runs(tmp_path, sanitizer):
    """Built with the header of then against the library of now, which the loader finds by the SONAME."""
    (tmp_path / "librenga.so.0").symlink_to(abi.LIBRARY.resolve())
    (tmp_path / "librenga.so").symlink_to("librenga.so.0")
    run("gcc", *STRICT_C, *sanitizer, "-g", RECORDED / "client-0.1.0.c", f"-L{tmp_path}", "-lrenga", "-lm", f"-Wl,-rpath,{tmp_path}",
        "-o", tmp_path / "client")
    assert "renga.h" not in run("gcc", "-MM", RECORDED / "client-0.1.0.c").stdout.replace("renga-0.1.0.h", "")
    assert run(tmp_path / "client", tmp_path).stdout == "a program of 0.1.0 runs\n"
