#!/usr/bin/env bash
# The Debian packages: what they say of themselves, a program built and run from their unpacked trees, and, as root on Debian, installed for
# real, used without any path and purged. Usage: test_deb.sh FOLDER, with the packages of one build.
# Not here: how they are made (bindings/deb).
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath "${1:?usage: test_deb.sh FOLDER}")
fail() { echo "test_deb: $*" >&2; exit 1; }
runtime=$(echo "$folder"/librenga[0-9]*.deb)
development=$(echo "$folder"/librenga-dev*.deb)
[ -f "$runtime" ] && [ -f "$development" ] || fail "no packages in $folder: run make deb"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- what they say ----
field() { dpkg-deb --field "$1" "$2"; }
version=$(field "$runtime" Version)
name=$(field "$runtime" Package)
[ "$name" = librenga0 ] || fail "the runtime package is named '$name', not after the SONAME"
[ "$(field "$development" Depends)" = "librenga0 (= $version)" ] || fail "librenga-dev depends on: $(field "$development" Depends)"
# Each library that the loader will look for is of a package that Depends names.
dpkg --extract "$runtime" "$work/root" && dpkg --extract "$development" "$work/root"
library=$(echo "$work"/root/usr/lib/*/librenga.so.*.*.*)
depends=$(field "$runtime" Depends)
for needed in $(readelf -dW "$library" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
  owner=$(dpkg-query --search "*/$needed" | head -n 1 | cut -d: -f1)
  tr ',' '\n' <<<"$depends" | sed 's/^ *//; s/ .*//' | grep -qxF "$owner" || fail "$needed is in $owner, which Depends does not name: $depends"
done
for control in shlibs symbols triggers md5sums; do
  dpkg-deb --info "$runtime" "$control" >"$work/$control" || fail "the runtime package has no $control"
done
grep -q '^librenga 0 librenga0 ' "$work/shlibs" || fail "shlibs says: $(cat "$work/shlibs")"
(cd "$work/root" && md5sum --check --quiet "$work/md5sums") || fail "the checksums are wrong"
[ -z "$(find "$work/root" ! -user "$(id -un)" -print -quit)" ] || fail "odd owners"
! dpkg-deb --contents "$runtime" | grep -v 'root/root' | grep -q . || fail "files of others than root inside"

# ---- from the unpacked tree, as a stranger compiles ----
libdir=$(dirname "$library")
cat >"$work/hello.c" <<'C'
#include <renga.h>
#include <stdio.h>
int main(void) {
  renga_network *network = NULL;
  renga_session *session = NULL;
  float image[64] = {1}, scores[3];
  renga_source src = {image, {1, 8, 8, 1}, RENGA_F32, RENGA_NHWC};
  renga_status status = renga_network_create("cnn", "stages=1,convolutions=1,width=4,classes=3,input=8x8x1", 1, &network);
  if (status == RENGA_OK) status = renga_session_create(network, NULL, &session);
  if (status == RENGA_OK) status = renga_session_run(session, &src, scores, 3, RENGA_NHWC);
  puts(status == RENGA_OK ? renga_version() : renga_last_error());
  renga_session_free(session);
  renga_network_free(network);
  return status;
}
C
export PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root
pkg-config --exists renga || fail "pkg-config does not find renga"
gcc -std=c99 "$work/hello.c" $(pkg-config --cflags --libs renga) -o "$work/hello" || fail "a program does not compile"
[ "$(LD_LIBRARY_PATH=$libdir "$work/hello")" = "${version%-*}" ] || fail "the program says something else"
unset PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR

# ---- installed for real ----
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  ! dpkg-query --status librenga0 librenga-dev >/dev/null 2>&1 || fail "already installed here: purge librenga0 and librenga-dev first"
  trap 'dpkg --purge librenga-dev librenga0 >/dev/null 2>&1; rm -rf "$work"' EXIT
  dpkg --install "$runtime" "$development" >"$work/log" 2>&1 || fail "dpkg: $(tail -3 "$work/log")"
  gcc -std=c99 "$work/hello.c" $(pkg-config --cflags --libs renga) -o "$work/hello" || fail "a program does not compile against the installed package"
  [ "$("$work/hello")" = "${version%-*}" ] || fail "the program does not run with the installed package"
  printf 'cmake_minimum_required(VERSION 3.16)\nproject(x C)\nfind_package(renga %s REQUIRED)\nadd_executable(hello hello.c)\ntarget_link_libraries(hello renga::renga)\n' "${version%-*}" >"$work/CMakeLists.txt"
  { cmake -S "$work" -B "$work/cmake" && cmake --build "$work/cmake"; } >"$work/log" 2>&1 || fail "CMake: $(tail -5 "$work/log")"
  "$work/cmake/hello" >/dev/null || fail "CMake's program does not run"
  # A package that is built against it gets its dependency from the shlibs and symbols files.
  mkdir -p "$work/other/debian" && printf 'Source: other\n\nPackage: other\nArchitecture: any\n' >"$work/other/debian/control"
  (cd "$work/other" && dpkg-shlibdeps -O "$work/hello" 2>/dev/null) | grep -qE 'librenga0 \(>= ' || fail "dpkg-shlibdeps does not name librenga0"
  dpkg --list librenga0 librenga-dev | grep -c '^ii' | grep -qx 2 || fail "not installed"
  files=$(dpkg --listfiles librenga0 librenga-dev | grep -F renga | sort -u)
  dpkg --purge librenga-dev librenga0 >"$work/log" 2>&1 || fail "dpkg: $(tail -3 "$work/log")"
  left=$(while read -r file; do [ ! -e "$file" ] || echo "$file"; done <<<"$files")
  [ -z "$left" ] || fail "purging leaves: $left"
  real=', installed, used and purged'
fi
echo "test_deb: librenga0 and librenga-dev $version are right${real:-}"
