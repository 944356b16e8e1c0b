# The pipeline's images. Targets: `cpu`, and `gpu`, whose Horovod is built for NCCL. Build from the project's folder:
#
#   make images                                                    (all CPU images, and tries them)
#   docker build --file docker/pipeline.Dockerfile --target cpu --tag ratchet-pipeline:0.1.0 .
#
# The project stands in /opt/ratchet, which a volume may hide. So the environment stands beside it, in
# /opt/ratchet-venv, and /opt/ratchet/.venv is a link to it (project.sh lays it anew in whatever is mounted there).
# Where downloads pass a proxy that signs with its own certificate: --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt
ARG BASE=docker.io/library/debian:bookworm-20260824-slim

# -- what Python and Spark need from the system, and git, to name the commit of a checkout; the same user in every image, so that they share volumes
FROM ${BASE} AS system
ARG RATCHET_UID=1000
RUN export DEBIAN_FRONTEND=noninteractive \
    && mkdir -p /usr/share/man/man1 \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends ca-certificates git openjdk-17-jre-headless python3.11 >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && useradd --uid "$RATCHET_UID" --create-home --shell /bin/bash ratchet \
    && install -d -o ratchet -g ratchet /opt/ratchet /opt/ratchet-venv /opt/served
ENV PATH=/opt/ratchet-venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/ratchet \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1
WORKDIR /opt/ratchet

# -- the compiler is here and in no image that runs
FROM system AS compiler
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends g++ make python3.11-venv >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ENV HOME=/root RATCHET_CACHE=/var/cache/ratchet UV_CACHE_DIR=/var/cache/ratchet/uv UV_LINK_MODE=copy
COPY pyproject.toml README.md LICENSE ratchet_command.py ./
COPY requirements requirements
COPY scripts scripts
COPY pipeline/__init__.py pipeline/

# -- the same set-up as on a laptop: locked packages, Horovod compiled once and kept in the cache mount, and proved
FROM compiler AS environment-cpu
RUN --mount=type=cache,target=/var/cache/ratchet,sharing=locked --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi; \
    scripts/setup.sh && rm -f .venv/spark.jsa && mv .venv/* .venv/.[!.]* /opt/ratchet-venv/

FROM system AS cpu
COPY --from=environment-cpu /opt/ratchet-venv /opt/ratchet-venv
COPY docker/http_ok.py /usr/local/bin/http-ok
COPY docker/project.sh /usr/local/bin/ratchet-project
COPY --chown=ratchet:ratchet . /opt/ratchet
USER ratchet
RUN ratchet-project
CMD ["ratchet", "doctor"]

# -- with GPUs: TensorFlow and its CUDA libraries, NCCL among them, come from PyPI; the CUDA compiler from NVIDIA's apt
# archive, in this stage alone. Their versions follow the lock: see docs/docker.md.
FROM compiler AS environment-gpu
ARG CUDA=12-9
ADD --chmod=0644 https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb /tmp/keyring.deb
RUN export DEBIAN_FRONTEND=noninteractive \
    && dpkg -i /tmp/keyring.deb \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends "cuda-nvcc-$CUDA" "cuda-cudart-dev-$CUDA" >/dev/null \
    && rm -rf /tmp/keyring.deb /var/lib/apt/lists/* /var/cache/apt/*
COPY docker/environment_gpu.sh /usr/local/bin/
RUN --mount=type=cache,target=/var/cache/ratchet,sharing=locked --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi; \
    CUDA_HOME=/usr/local/cuda environment_gpu.sh && mv .venv/* .venv/.[!.]* /opt/ratchet-venv/

FROM system AS gpu
COPY --from=environment-gpu /opt/ratchet-venv /opt/ratchet-venv
COPY docker/http_ok.py /usr/local/bin/http-ok
COPY docker/project.sh /usr/local/bin/ratchet-project
COPY --chown=ratchet:ratchet . /opt/ratchet
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    LD_LIBRARY_PATH=/opt/ratchet-venv/lib/python3.11/site-packages/nvidia/nccl/lib
USER ratchet
RUN ratchet-project
CMD ["ratchet", "doctor"]
