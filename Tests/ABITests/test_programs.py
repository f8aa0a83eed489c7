"""The headers as compilers see them, and whole programs in C and C++ against the library."""

import os
import subprocess

import pytest

import abi

INCLUDE = abi.ROOT / "include"
PROGRAMS = abi.ROOT / "Tests" / "ABITests" / "programs"
STRICT_C = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
STRICT_CPP = ["-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror"]


def run(*command, **options):
    child = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False, **options)
    assert child.returncode == 0, f"{command}\n{child.stdout}{child.stderr}"
    return child


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("standard", ["c99", "c11", "c17"])
def test_the_header_stands_alone_in_c(compiler, standard):
    run(compiler, *STRICT_C[1:], f"-std={standard}", "-fsyntax-only", "-x", "c", INCLUDE / "renga.h")


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("header", ["renga.h", "renga.hpp"])
def test_the_headers_stand_alone_in_cpp(compiler, header, tmp_path):
    (tmp_path / "only.cpp").write_text(f'#include "{header}"\n#include "{header}"\n', encoding="ascii")
    run(compiler, *STRICT_CPP, "-I", INCLUDE, "-fsyntax-only", tmp_path / "only.cpp")


def build(compiler, flags, source, folder):
    """Compiles a program against the library, found by its SONAME as an installed one is."""
    (folder / "librenga.so.0").symlink_to(abi.LIBRARY.resolve())
    (folder / "librenga.so").symlink_to("librenga.so.0")
    run(compiler, *flags, "-g", "-I", INCLUDE, PROGRAMS / source, f"-L{folder}", "-lrenga", f"-Wl,-rpath,{folder}", "-o", folder / "program")
    return folder / "program"


def test_the_wrapper(tmp_path):
    run(build("g++", STRICT_CPP, "wrapper.cpp", tmp_path), tmp_path)


def test_nothing_leaks(tmp_path):
    """Under LeakSanitizer: every object made, used, failed with and freed."""
    program = build("gcc", [*STRICT_C, "-fsanitize=address"], "leaks.c", tmp_path)
    run(program, tmp_path / "network.renga", env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})


def test_the_leak_check_finds_a_leak(tmp_path):
    """The same program without one of its frees fails: the check above can."""
    leaking = tmp_path / "leaking.c"
    text = (PROGRAMS / "leaks.c").read_text(encoding="utf-8")
    assert "  renga_dataset_free(part);\n" in text
    leaking.write_text(text.replace("  renga_dataset_free(part);\n", ""), encoding="utf-8")
    program = build("gcc", ["-std=c99", "-fsanitize=address"], leaking, tmp_path)
    child = subprocess.run([str(program), str(tmp_path / "network.renga")], capture_output=True, text=True, check=False,
                           env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1"})
    assert child.returncode != 0 and "LeakSanitizer" in child.stderr
