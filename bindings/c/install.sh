#!/usr/bin/env bash
# Installs the C library's tree, or removes exactly that. Usage: install.sh install|uninstall LIBRARY VERSION, with PREFIX, LIBDIR,
# INCLUDEDIR, DOCDIR and DESTDIR in the environment. Not here: how the library is built (make build), the Python package (bindings/python).
set -euo pipefail
cd "$(dirname "$0")/../.."

action=${1:?usage: install.sh install|uninstall LIBRARY VERSION}
library=${2:?the library to install}
version=${3:?its version}
: "${PREFIX:?}" "${LIBDIR:?}" "${INCLUDEDIR:?}" "${DOCDIR:?}"
destdir=${DESTDIR:-}
major=${version%%.*}
number=$(sed -n 's/^#define RENGA_VERSION_OLDEST \([0-9]*\)$/\1/p' include/renga.h)
oldest=$((number / 10000)).$((number / 100 % 100)).$((number % 100))
for directory in "$PREFIX" "$LIBDIR" "$INCLUDEDIR" "$DOCDIR"; do
  [ "${directory#/}" != "$directory" ] || { echo "install: '$directory' must be an absolute path; DESTDIR is for staging" >&2; exit 1; }
done

libdir=$destdir$LIBDIR
includedir=$destdir$INCLUDEDIR
docdir=$destdir$DOCDIR
documents=(LICENSE README.md CHANGELOG.md)

# Fills in a template.
fill() {
  sed -e "s|@PREFIX@|$PREFIX|g; s|@LIBDIR@|$LIBDIR|g; s|@INCLUDEDIR@|$INCLUDEDIR|g; s|@VERSION@|$version|g" \
    -e "s|@MAJOR@|$major|g; s|@OLDEST@|$oldest|g; s|@SOMAJOR@|$major|g" \
    -e "s|@RELATIVE_INCLUDEDIR@|$(realpath -m --relative-to="$LIBDIR" "$INCLUDEDIR")|g" "bindings/c/$1" >"$2"
  chmod 644 "$2"
}

case $action in
  install)
    install -d "$libdir/pkgconfig" "$libdir/cmake/renga" "$includedir" "$docdir"
    # -s strips: debug symbols of the engine are of no use to a host.
    install -m 755 -s "$library" "$libdir/librenga.so.$version"
    ln -sf "librenga.so.$version" "$libdir/librenga.so.$major"
    ln -sf "librenga.so.$major" "$libdir/librenga.so"
    install -m 644 include/renga.h include/renga.hpp "$includedir/"
    fill renga.pc.in "$libdir/pkgconfig/renga.pc"
    fill renga-config.cmake.in "$libdir/cmake/renga/renga-config.cmake"
    fill renga-config-version.cmake.in "$libdir/cmake/renga/renga-config-version.cmake"
    for document in "${documents[@]}"; do
      [ ! -f "$document" ] || install -m 644 "$document" "$docdir/"
    done
    ;;
  uninstall)
    rm -f "$libdir/librenga.so" "$libdir/librenga.so.$major" "$libdir/librenga.so.$version" "$includedir/renga.h" "$includedir/renga.hpp" \
      "$libdir/pkgconfig/renga.pc" "$libdir/cmake/renga/renga-config.cmake" "$libdir/cmake/renga/renga-config-version.cmake"
    for document in "${documents[@]}"; do rm -f "$docdir/$document"; done
    # Folders that only this library filled; others' folders are never empty, or are left.
    rmdir --ignore-fail-on-non-empty "$libdir/cmake/renga" "$docdir" 2>/dev/null || true
    ;;
  *)
    echo "install: '$action' is neither install nor uninstall" >&2
    exit 1
    ;;
esac
