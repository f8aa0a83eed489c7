#!/usr/bin/env bash
# Builds the documentation site: guides, and the references of the C header (Doxygen), the Swift modules (DocC) and the Python package (pdoc).
# Usage: build.sh FOLDER PYTHON; PYTHON has pdoc (with its markdown2 and Pygments), .build/debug the Swift modules. Offline.
# DOCS_BASE in the environment: the path under which the folder will be served; DocC's pages need to know it. Default: the root.
# Not here: whether code in the guides works (Tests/DocumentTests).
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:?usage: build.sh FOLDER PYTHON}
python=${2:?usage: build.sh FOLDER PYTHON}
base=${DOCS_BASE:-}
modules=.build/debug/Modules
fail() { echo "docs: $*" >&2; exit 1; }
command -v doxygen >/dev/null || fail "doxygen is missing: apt-get install doxygen"
docc=$(command -v docc) && extract=$(command -v swift-symbolgraph-extract) || fail "docc is missing: it comes with Swift's toolchain"
[ -d "$modules" ] || fail "the Swift modules are not built: swift build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$folder"
mkdir -p "$folder"
version=$(sed -n 's/^#define RENGA_VERSION_[A-Z]* \([0-9]*\)$/\1/p' include/renga.h | head -n 3 | paste -sd .)

# ---- C: comments that are no Doxygen comments become some on the way in ----
{
  cat docs/site/Doxyfile
  printf 'PROJECT_NUMBER = %s\nOUTPUT_DIRECTORY = %s\nINPUT_FILTER = "%s docs/site/doxygen_filter.py"\n' "$version" "$folder" "$python"
} | doxygen - >"$work/doxygen.log" 2>&1 || fail "doxygen: $(tail -5 "$work/doxygen.log")"
[ ! -s "$work/doxygen.log" ] || fail "doxygen: $(head -5 "$work/doxygen.log")"

# ---- Python ----
PYTHONPATH=bindings/python/src "$python" -m pdoc --no-show-source --template-directory docs/site/pdoc --output-directory "$folder/python" \
  --footer-text "renga $version" renga >"$work/pdoc.log" 2>&1 || fail "pdoc: $(tail -5 "$work/pdoc.log")"

# ---- Swift: a module each, then one archive ----
for module in RengaNetwork RengaArchitectures RengaRewrites RengaData RengaFormats RengaExecution RengaTraining Renga; do
  mkdir "$work/$module"
  "$extract" -module-name "$module" -I "$modules" -Xcc -ISources/CRengaKernels/include -Xcc -ISources/CZlib \
    -target "$(uname -m)-unknown-linux-gnu" -minimum-access-level public -output-dir "$work/$module" >"$work/swift.log" 2>&1 ||
    fail "$module: $(tail -5 "$work/swift.log")"
  "$docc" convert --additional-symbol-graph-dir "$work/$module" --fallback-display-name "$module" --fallback-bundle-identifier "renga.$module" \
    --transform-for-static-hosting --hosting-base-path "$base/swift" --output-path "$work/$module.doccarchive" >"$work/swift.log" 2>&1 ||
    fail "$module: $(tail -5 "$work/swift.log")"
done
"$docc" merge "$work"/*.doccarchive --synthesized-landing-page-name "Renga for Swift" --synthesized-landing-page-topics-style list --output-path "$folder/swift" >"$work/swift.log" 2>&1 ||
  fail "docc merge: $(tail -5 "$work/swift.log")"

# ---- the index and the guides ----
"$python" docs/site/pages.py "$folder" "$version"
echo "docs: $folder ($(du -sh "$folder" | cut -f1)); look at it with: python3 -m http.server --directory $folder"
