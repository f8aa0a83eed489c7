#!/usr/bin/env bash
# The installed tree, as a stranger uses it: installs to a temporary prefix, compiles the examples by pkg-config (gcc, strict C99) and by CMake,
# runs them and the Python one, moves the tree, uninstalls. Usage: test_install.sh LIBRARY VERSION PYTHON, a Python that has NumPy.
# Not here: the library's behaviour (the tests beside this).
set -euo pipefail
cd "$(dirname "$0")/../.."
library=${1:?usage: test_install.sh LIBRARY VERSION PYTHON}
version=${2:?usage: test_install.sh LIBRARY VERSION PYTHON}
python=$(realpath -s "${3:?usage: test_install.sh LIBRARY VERSION PYTHON}")
fail() { echo "test_install: $*" >&2; exit 1; }
for tool in gcc g++ cmake pkg-config python3; do
  command -v $tool >/dev/null || fail "$tool is missing: apt-get install gcc g++ cmake pkg-config python3"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# install_tree ACTION PREFIX [DESTDIR]
install_tree() {
  PREFIX=$2 LIBDIR=$2/lib INCLUDEDIR=$2/include DOCDIR=$2/share/doc/renga DESTDIR=${3:-} bindings/c/install.sh "$1" "$library" "$version"
}

# ---- what lies where ----
prefix=$work/prefix
install_tree install "$prefix"
for file in lib/librenga.so.$version include/renga.h include/renga.hpp lib/pkgconfig/renga.pc lib/cmake/renga/renga-config.cmake \
  lib/cmake/renga/renga-config-version.cmake share/doc/renga/LICENSE; do
  [ -f "$prefix/$file" ] || fail "$file is not installed"
done
[ "$(readlink "$prefix/lib/librenga.so")" = "librenga.so.${version%%.*}" ] || fail "librenga.so does not point to its SONAME"
[ "$(readlink "$prefix/lib/librenga.so.${version%%.*}")" = "librenga.so.$version" ] || fail "the SONAME does not point to the library"
.ci/check-library "$prefix/lib/librenga.so.$version" >/dev/null || fail "the installed library breaks its rules"

# ---- data: pairs of IDX files with a bright quadrant ----
python3 - "$work/data" <<'PYTHON'
import pathlib, random, struct, sys
folder, dice = pathlib.Path(sys.argv[1]), random.Random(3)
folder.mkdir()
for part, count in (("train", 512), ("t10k", 64)):
    pixels, labels = bytearray(), bytearray(i % 4 for i in range(count))
    for label in labels:
        pixels += bytes(dice.randrange(96) + 96 * ((y >= 8) * 2 + (x >= 8) == label) for y in range(16) for x in range(16))
    (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 0x803, count, 16, 16) + pixels)
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 0x801, count) + labels)
PYTHON

# run_examples FOLDER-C FOLDER-CPP: runs what was compiled and checks what it says.
run_examples() {
  "$1/train" "$work/generated.renga" >"$work/out" || fail "train failed on generated images"
  grep -qE '^test accuracy [01]\.[0-9]+, loss .*; saved to ' "$work/out" || fail "train says: $(cat "$work/out")"
  "$1/train" "$work/net.renga" "$work/data" >"$work/out" || fail "train failed on files"
  [ "$(grep -c '^epoch [123] of 3: loss' "$work/out")" = 3 ] || fail "train's epochs: $(cat "$work/out")"
  "$1/classify" "$work/net.renga" "$work/data/t10k-images-idx3-ubyte" "$work/data/t10k-labels-idx1-ubyte" 64 >"$work/out" || fail "classify failed"
  [ "$(grep -cE '^image [0-9]+: label [0-3]( [^,]+)?, prediction [0-3]( [^,]+)?, [0-9.]+ ms$' "$work/out")" = 64 ] || fail "classify says: $(head -3 "$work/out")"
  right=$(sed -n 's/^\([0-9]*\) of 64 right; .*/\1/p' "$work/out")
  [ "${right:-0}" -ge 58 ] || fail "classify got only ${right:-none} of 64 right"
  ! "$1/classify" "$work/nothing" "$work/data/x" "$work/data/y" >/dev/null 2>"$work/err" || fail "classify accepts a network that is not there"
  grep -q 'nothing.*RENGA_ERROR_FILE' "$work/err" || fail "classify says: $(cat "$work/err")"
  "$2/frames" >"$work/out" || fail "frames failed"
  grep -qE '^30 frames, two sessions each: .* agreed on 30, ' "$work/out" || fail "frames says: $(cat "$work/out")"
}

# ---- pkg-config: the Makefiles beside the examples ----
cp -r examples/c "$work/c" && cp -r examples/cpp "$work/cpp"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
[ "$(pkg-config --modversion renga)" = "$version" ] || fail "pkg-config knows another version"
make -s -C "$work/c" CC=gcc >/dev/null || fail "the C examples do not compile by pkg-config"
make -s -C "$work/cpp" CXX=g++ >/dev/null || fail "the C++ example does not compile by pkg-config"
(export LD_LIBRARY_PATH=$prefix/lib && run_examples "$work/c" "$work/cpp")

# ---- Python: the package over the installed library ----
(cd "$work" && RENGA_LIBRARY=$prefix/lib/librenga.so PYTHONPATH=$OLDPWD/bindings/python/src \
  "$python" "$OLDPWD/examples/python/train_and_run.py" "$work/data") >"$work/out" || fail "the Python example failed"
[ "$(grep -cE '^is [0-3] - answered [0-3]$' "$work/out")" = 5 ] || fail "the Python example says: $(cat "$work/out")"

# ---- CMake: where it was installed, and after a move; the library is found by what CMake writes into the programs ----
cmake_build() {
  for language in c cpp; do
    cmake -S "examples/$language" -B "$2-$language" -DCMAKE_PREFIX_PATH="$1" -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 \
      && cmake --build "$2-$language" >>"$work/log" 2>&1 || fail "CMake: $(tail -5 "$work/log")"
  done
}
unset PKG_CONFIG_PATH
mv "$prefix" "$work/moved"
cmake_build "$work/moved" "$work/moved-build"
run_examples "$work/moved-build-c" "$work/moved-build-cpp"
# request VERSION: whether find_package takes it.
request() {
  printf 'cmake_minimum_required(VERSION 3.16)\nproject(x NONE)\nfind_package(renga %s REQUIRED)\n' "$1" >"$work/CMakeLists.txt"
  cmake -S "$work" -B "$work/request-$1" -DCMAKE_PREFIX_PATH="$work/moved" >/dev/null 2>&1
}
for wanted in "" "${version%%.*}" 0.1 0.1.0 "$version"; do request "$wanted" || fail "CMake refuses version '$wanted'"; done
for unwanted in 99 0.0.9 "${version%.*}.99"; do ! request "$unwanted" || fail "CMake accepts version $unwanted"; done

# ---- staging, and removal of exactly that ----
mkdir -p "$work/stage/usr/lib" && touch "$work/stage/usr/lib/other.so"
install_tree install /usr "$work/stage"
grep -qx 'prefix=/usr' "$work/stage/usr/lib/pkgconfig/renga.pc" || fail "renga.pc does not name the final prefix"
! grep -rqF "$work" "$work/stage/usr/lib/pkgconfig" "$work/stage/usr/lib/cmake" || fail "the staging folder is written into the tree"
install_tree uninstall /usr "$work/stage"
left=$(find "$work/stage" -type f -o -type l | grep -v '/other.so$' || true)
[ -z "$left" ] || fail "uninstall left: $left"
[ -f "$work/stage/usr/lib/other.so" ] || fail "uninstall removed what is not ours"
echo "test_install: tree, pkg-config, CMake, examples, move, staging and removal are right"
