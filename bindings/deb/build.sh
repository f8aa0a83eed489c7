#!/usr/bin/env bash
# Builds librenga0 and librenga-dev as .deb files from a built library. Usage: build.sh LIBRARY VERSION FOLDER.
# Not here: which files a package of the C library has (bindings/c/install.sh), the check of what comes out (Tests/PackageTests/test_deb.sh).
set -euo pipefail
cd "$(dirname "$0")/../.."
library=$(realpath "${1:?usage: build.sh LIBRARY VERSION FOLDER}")
upstream=${2:?usage: build.sh LIBRARY VERSION FOLDER}
mkdir -p "${3:?usage: build.sh LIBRARY VERSION FOLDER}"
folder=$(realpath "$3")
for tool in dpkg-deb dpkg-shlibdeps dpkg-gensymbols; do
  command -v $tool >/dev/null || { echo "deb: $tool is missing: apt-get install dpkg-dev" >&2; exit 1; }
done

maintainer='Renga maintainers <maintainers@renga.invalid>'
version=$upstream-1
architecture=$(dpkg --print-architecture)
multiarch=$(dpkg-architecture --query DEB_HOST_MULTIARCH)
# The same tree gives the same packages: times are those of the last commit.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
runtime=$work/librenga0
development=$work/librenga-dev
mkdir -p "$work/debian" "$runtime/DEBIAN" "$development/DEBIAN"

# ---- files: the tree of make install, what runs apart from what compiles ----
PREFIX=/usr LIBDIR=/usr/lib/$multiarch INCLUDEDIR=/usr/include DOCDIR=/documents DESTDIR=$development \
  bindings/c/install.sh install "$library" "$upstream"
rm -r "$development/documents"
mkdir -p "$runtime/usr/lib/$multiarch"
mv "$development/usr/lib/$multiarch"/librenga.so.* "$runtime/usr/lib/$multiarch/"
# A library is not a program.
chmod 644 "$runtime/usr/lib/$multiarch/librenga.so.$upstream"
strip --remove-section=.comment --remove-section=.note "$runtime/usr/lib/$multiarch/librenga.so.$upstream"
for package in librenga0 librenga-dev; do
  documents=$work/$package/usr/share/doc/$package
  mkdir -p "$documents"
  cp bindings/deb/copyright "$documents/copyright"
  printf 'renga (%s) unstable; urgency=medium\n\n  * Version %s; what changed is in changelog.gz.\n\n -- %s  %s\n' \
    "$version" "$upstream" "$maintainer" "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")" | gzip -9n >"$documents/changelog.Debian.gz"
  gzip -9n <CHANGELOG.md >"$documents/changelog.gz"
done
mkdir -p "$development/usr/share/doc/librenga-dev/examples"
cp -r examples/c examples/cpp "$development/usr/share/doc/librenga-dev/examples/"

# ---- what it needs, and what others need of it ----
cd "$work"
printf 'Source: renga\n\nPackage: librenga0\nArchitecture: any\n' >debian/control
dpkg-gensymbols -plibrenga0 -v"$upstream" -Plibrenga0 -I"$OLDPWD/bindings/deb/librenga0.symbols" -O"$runtime/DEBIAN/symbols" -c1 >symbols.log 2>&1 || {
  cat symbols.log >&2
  echo "deb: a symbol that older packages had is gone" >&2
  exit 1
}
printf 'librenga 0 librenga0 (>= %s)\n' "$upstream" >"$runtime/DEBIAN/shlibs"
printf 'activate-noawait ldconfig\n' >"$runtime/DEBIAN/triggers"
depends=$(dpkg-shlibdeps -O -Slibrenga0 "librenga0/usr/lib/$multiarch/librenga.so.$upstream" | sed 's/^shlibs:Depends=//')

# control_of PACKAGE SECTION DEPENDS SUMMARY TEXT…: the control file and the checksums, and the package.
control_of() {
  local package=$1 section=$2 needs=$3 summary=$4
  shift 4
  (cd "$package" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  {
    printf 'Package: %s\nSource: renga\nVersion: %s\nArchitecture: %s\nMaintainer: %s\n' "$package" "$version" "$architecture" "$maintainer"
    printf 'Installed-Size: %s\nDepends: %s\nSection: %s\nPriority: optional\n' "$(du -k --summarize "$package/usr" | cut -f1)" "$needs" "$section"
    printf 'Multi-Arch: same\nDescription: %s\n' "$summary"
    printf ' %s\n' "$@"
  } >"$package/DEBIAN/control"
  find "$package" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0 touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
  dpkg-deb --root-owner-group -Zxz --build "$package" "$folder/${package}_${version}_$architecture.deb" >/dev/null
}
about=('Renga builds, trains and runs convolutional networks on ordinary CPUs, behind' 'a C interface, without a framework or Python at run time.' '.')
control_of librenga0 libs "$depends" 'convolutional networks on CPUs: shared library' "${about[@]}" 'This package holds the shared library.'
control_of librenga-dev libdevel "librenga0 (= $version)" 'convolutional networks on CPUs: development files' "${about[@]}" \
  'This package holds the headers for C and C++, the files for pkg-config and' 'CMake, and examples.'
ls "$folder"/librenga0_"$version"_*.deb "$folder"/librenga-dev_"$version"_*.deb
