#!/usr/bin/env bash
# The Python packages as pip's users meet them: the wheel, then the source distribution (which builds the engine), each into the same clean
# environment, used, and removed without a trace. Usage: test_python.sh WHEEL SDIST PYTHON; PYTHON has auditwheel.
# Not here: what is inside the wheel (bindings/python/check_wheel.py), what the package does (bindings/python/tests).
set -euo pipefail
wheel=$(realpath "${1:?usage: test_python.sh WHEEL SDIST PYTHON}")
sdist=$(realpath "${2:?usage: test_python.sh WHEEL SDIST PYTHON}")
python=$(realpath -s "${3:?usage: test_python.sh WHEEL SDIST PYTHON}")
check=$(realpath "$(dirname "$0")/../../bindings/python/check_wheel.py")
fail() { echo "test_python: $*" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
# Neither the checkout nor its library may stand in for what was installed.
unset RENGA_LIBRARY PYTHONPATH RENGA_WHEEL_LIBRARY

# ---- the tag, by another's judgement too ----
tag=${wheel%.whl}
tag=${tag##*-}
"$python" -m auditwheel show "$wheel" >audit 2>&1 || fail "auditwheel: $(tail -3 audit)"
tr '\n' ' ' <audit | grep -qF "following platform tag: \"$tag\"" || fail "auditwheel does not find '$tag': $(head -4 audit)"

# Our own check finds a tag that promises too much.
older=$(basename "$wheel" | sed -E 's/manylinux_2_[0-9]+/manylinux_2_17/')
cp "$wheel" "$older"
! "$python" "$check" "$older" >/dev/null 2>audit || fail "check_wheel takes $older"
grep -q 'needs GLIBC_' audit || fail "check_wheel says: $(cat audit)"

cat >use.py <<'PYTHON'
import sys
import numpy, renga

images = numpy.random.default_rng(1).integers(0, 256, (48, 8, 8, 1), dtype=numpy.uint8)
labels = numpy.arange(48, dtype=numpy.int32) % 3
network = renga.Network.create("cnn", stages=1, convolutions=1, width=4, classes=3, input=(8, 8, 1), seed=1)
with renga.Trainer(network, batch=12, epochs=2) as trainer:
    trainer.fit(renga.Dataset(images, labels, classes=3))
    trainer.network().save("net.safetensors")
answers = renga.Session(renga.Network.load("net.safetensors"), batch=4).run(images[:4])
assert answers.shape == (4, 3) and numpy.isfinite(answers).all()
library = renga.runtime_info()["library"]
assert library.startswith(sys.prefix), library
with open("/proc/self/maps") as maps:
    runtimes = {line.split()[-1] for line in maps if "/libomp" in line}
assert len(runtimes) == 1 and runtimes.pop().startswith(sys.prefix), runtimes
PYTHON

"$python" -m venv clean
clean/bin/pip install --quiet --disable-pip-version-check 'numpy>=1.23'
files() { find clean -type f ! -name '*.pyc' ! -path '*/__pycache__/*' | sort; }
files >before

# try_package NAME FILE: installs, uses, uninstalls.
try_package() {
  clean/bin/pip install --quiet --disable-pip-version-check --no-cache-dir "$2" >log 2>&1 || fail "pip cannot install the $1: $(tail -5 log)"
  clean/bin/python use.py || fail "the package from the $1 does not work"
  clean/bin/renga info net.safetensors >info || fail "the command from the $1 does not work"
  grep -qE '^layers +[0-9]' info || fail "renga info says: $(head -3 info)"
  clean/bin/pip uninstall --quiet --disable-pip-version-check --yes renga
  files | diff before - >left || fail "the $1 leaves behind: $(cat left)"
}
try_package wheel "$wheel"
try_package 'source distribution' "$sdist"
echo "test_python: $tag, wheel and source distribution install, work and go"
