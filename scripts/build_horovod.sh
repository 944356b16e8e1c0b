#!/usr/bin/env bash
# Builds the Horovod wheel against the TensorFlow in .venv, once, and keeps it outside the work tree.
# Prints the wheel's path. The name of its folder says what it was built against, so that another TensorFlow builds anew.
# With --cached it builds nothing: it prints the path of a wheel that is there, or leaves with 1.
#
# Horovod 0.28.1 does not compile on TensorFlow >= 2.16: xla_mpi_ops.cc includes XLA headers that TensorFlow no longer
# ships. That file holds optional XLA operations; we leave it out of the build (see docs/decisions/0008-horovod.md).
# HOROVOD_GPU_OPERATIONS=NCCL in the environment builds for GPUs, against the TensorFlow that has them (docker/environment_gpu.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
python=$PWD/.venv/bin/python
cache=${RATCHET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ratchet}
version=$(sed -n 's/^horovod==\([0-9.]*\).*/\1/p' requirements/horovod.txt)
distribution=tensorflow-cpu
if [ -n "${HOROVOD_GPU_OPERATIONS:-}" ]; then distribution=tensorflow; fi
built_against=$("$python" -c 'import importlib.metadata as m, sys
name = sys.argv[1]
print("%s-%s-cp%d%d" % (name.replace("-", "_"), m.version(name), *sys.version_info[:2]))' "$distribution" 2>/dev/null) ||
  { echo "ratchet: .venv has no TensorFlow to build Horovod against: run scripts/setup.sh" >&2; exit 70; }
shelf=$cache/wheels/horovod-$version-$built_against-$(uname -m)${HOROVOD_GPU_OPERATIONS:+-${HOROVOD_GPU_OPERATIONS,,}}
find_wheel() { find "$shelf" -name 'horovod-*.whl' 2>/dev/null | grep .; }
if find_wheel; then exit 0; fi
if [ "${1:-}" = --cached ]; then exit 1; fi

mkdir -p "$shelf"
# One build at a time on this machine: a second one would only halve the speed of both, and finds the wheel when it is done.
exec 8>"$cache/build-horovod.lock"
flock 8
if find_wheel; then exit 0; fi
rm -rf "$cache"/build-horovod.?????? # what a killed build left: nobody else builds while we hold the lock
work=$(mktemp -d "$cache/build-horovod.XXXXXX")
trap 'rm -rf "$work"' EXIT
log=$cache/build-horovod.log
uv=${RATCHET_UV:-$(scripts/uv.sh)}
echo "building Horovod $version for $built_against: two to six minutes, once (log: $log)" >&2
{
  "$uv" pip install --quiet --python "$python" --require-hashes --target "$work/tools" -r requirements/build.txt
  export PYTHONPATH=$work/tools PATH=$work/tools/bin:$PATH
  "$python" -m pip download --quiet --retries 5 --no-deps --no-binary horovod --no-build-isolation --require-hashes \
    -r requirements/horovod.txt -d "$work/sdist"
  mkdir "$work/source"
  tar -xzf "$work"/sdist/horovod-*.tar.gz -C "$work/source" --strip-components=1
  # The one obstacle: the line that appends the XLA operations to the sources.
  sed -i '/xla_mpi_ops\.cc/d' "$work/source/horovod/tensorflow/CMakeLists.txt"
  # With GPUs there are two more: a header has moved, and the function that gave CUDA's own stream is gone; a stream knows it.
  sed -i -e '/^\/\/ Forward declaration of AsGpuStreamValue$/,/^} \/\/ namespace gpu$/d' \
    -e 's|"tensorflow/compiler/xla/stream_executor/stream\.h"|"xla/stream_executor/stream.h"|' \
    -e '/^#endif \/\/ TENSORFLOW_VERSION >= 2011000000$/a\
namespace stream_executor::gpu {\
inline GpuStreamHandle AsGpuStreamValue(Stream* stream) {\
  return static_cast<GpuStreamHandle>(stream->platform_specific_handle().stream);\
}\
}' "$work/source/horovod/tensorflow/mpi_ops.cc"
  (
    cd "$work/source"
    export HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1 HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1
    # make hands its own flags down; here they would name a job server that is not ours.
    unset MAKEOVERRIDES MAKELEVEL MFLAGS
    MAKEFLAGS=-j$(nproc) "$python" -m pip wheel --no-deps --no-build-isolation -w "$work/wheel" .
  )
  # Debug symbols are 13 of the wheel's 15 MB.
  "$python" - "$work/wheel" "$work/stripped" <<'PY'
import pathlib, subprocess, sys, zipfile
source, target = map(pathlib.Path, sys.argv[1:])
target.mkdir()
[wheel] = source.glob("*.whl")
tree = target / "tree"
zipfile.ZipFile(wheel).extractall(tree)
for library in tree.rglob("*.so"):
    subprocess.run(["strip", "-g", library], check=True)
PY
  "$python" -m wheel pack "$work/stripped/tree" -d "$work/stripped" # rewrites RECORD
} >"$log" 2>&1 || { echo "ratchet: building Horovod failed; the last lines of $log:" >&2; tail -n 20 "$log" >&2; exit 70; }
mv "$work"/stripped/horovod-*.whl "$shelf/"
find_wheel
