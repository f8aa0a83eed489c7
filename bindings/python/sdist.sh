#!/usr/bin/env bash
# Makes the source distribution, dist/renga-VERSION.tar.gz: this package and, under engine/, all that `swift build` needs for the library.
# Usage: sdist.sh PYTHON, one that has setuptools. Not here: the wheel (make wheel), what pip does with it (setup.py).
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(realpath -s "${1:?usage: sdist.sh PYTHON}")

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
# What is committed or at least added: nothing that a build or a run left behind. From an unpacked distribution there is no git to ask.
git ls-files --error-unmatch Package.swift >/dev/null 2>&1 || { echo "sdist: made from a git checkout only" >&2; exit 1; }
copy() { # copy FOLDER PATHSPEC…: the tracked files that match, into a folder of the stage
  local folder=$1
  shift
  mkdir -p "$stage/$folder"
  git ls-files -z "$@" | tar --create --null --files-from=- | tar --extract --directory "$stage/$folder"
}
# The package manager reads every target's folder, tests too; their golden data and what is tested from outside stay away.
copy engine Package.swift Sources include Tests CHANGELOG.md LICENSE ':!Tests/golden' ':!Tests/ABITests' ':!Tests/Fuzz' ':!Tests/PackageTests' ':!Tests/DocumentTests'
copy whole bindings/python ':!bindings/python/tests'
mv "$stage"/whole/bindings/python/* "$stage"/
rm -r "$stage/whole" "$stage/sdist.sh" "$stage/check_wheel.py"
cp LICENSE "$stage/"
printf 'graft engine\ninclude THIRD-PARTY\nglobal-exclude *.pyc\n' >"$stage/MANIFEST.in"
mkdir -p dist
(cd "$stage" && "$python" -c 'import sys; from setuptools.build_meta import build_sdist; print(build_sdist(sys.argv[1]))' "$OLDPWD/dist" >log 2>&1) || {
  tail -n 5 "$stage/log" >&2
  exit 1
}
archive=dist/$(tail -n 1 "$stage/log")
echo "$archive: $(du -h "$archive" | cut -f1)"
