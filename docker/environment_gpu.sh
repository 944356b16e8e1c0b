#!/usr/bin/env bash
# What scripts/setup.sh does, for GPUs: TensorFlow with its CUDA libraries from their own lock, and a Horovod that is built
# for NCCL. Run by pipeline.Dockerfile. CUDA_HOME must hold a CUDA 12 compiler and the runtime's headers; no GPU is needed.
set -euo pipefail
cd "${RATCHET_ROOT:-/opt/ratchet}"
root=$PWD
lock=requirements/pipeline_gpu.txt
uv=$(scripts/uv.sh)
export RATCHET_UV=$uv
"$uv" venv --quiet --python "$(scripts/find_python.sh)" .venv
"$uv" pip sync --quiet --compile-bytecode --require-hashes --python .venv/bin/python "$lock"

# NVIDIA's wheel has libnccl.so.2; the linker looks for libnccl.so. The library itself stays where the wheel has put it.
packages=$root/.venv/lib/python3.11/site-packages/nvidia
link=$(mktemp -d)
trap 'rm -rf "$link"' EXIT
ln -s "$packages/nccl/lib/libnccl.so.2" "$link/libnccl.so"
export HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_GPU=CUDA HOROVOD_CUDA_HOME=$CUDA_HOME
export HOROVOD_NCCL_INCLUDE=$packages/nccl/include HOROVOD_NCCL_LIB=$link HOROVOD_NCCL_LINK=SHARED
export HOROVOD_BUILD_CUDA_CC_LIST=${HOROVOD_BUILD_CUDA_CC_LIST:-70,75,80,86,89,90}
wheel=$(scripts/build_horovod.sh)
"$uv" pip install --quiet --no-deps --no-build-isolation --compile-bytecode --python .venv/bin/python "$wheel" --editable .

# The loader finds NCCL by the image's LD_LIBRARY_PATH. The proof needs no GPU: it shows that the library loads and reduces.
LD_LIBRARY_PATH=$packages/nccl/lib .venv/bin/python scripts/prove_horovod.py
{ echo "# $root"; sha256sum pyproject.toml requirements/{bootstrap,build,horovod,pipeline_gpu}.txt; sha256sum .venv/pyvenv.cfg; } \
  >.venv/setup.sha256
