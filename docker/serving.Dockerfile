# The service alone: it answers with a served folder, and holds neither Spark nor Horovod, MLflow nor a compiler. What
# brings it the champion is the follower, which runs in the pipeline's image and writes to the folder served here.
#
#   docker build --file docker/serving.Dockerfile --target serving --tag ratchet-serving:0.1.0 .
ARG BASE=docker.io/library/debian:bookworm-20260824-slim

FROM ${BASE} AS environment
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends ca-certificates python3.11 python3.11-venv >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ENV RATCHET_CACHE=/var/cache/ratchet UV_CACHE_DIR=/var/cache/ratchet/uv UV_LINK_MODE=copy
WORKDIR /build
COPY requirements/bootstrap.txt requirements/serving.txt requirements/
COPY scripts/uv.sh scripts/find_python.sh scripts/
RUN --mount=type=cache,target=/var/cache/ratchet,sharing=locked --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi; \
    uv=$(scripts/uv.sh) \
    && "$uv" venv --quiet --python /usr/bin/python3.11 /opt/serving \
    && "$uv" pip sync --quiet --compile-bytecode --require-hashes --python /opt/serving/bin/python requirements/serving.txt

FROM ${BASE} AS serving
ARG RATCHET_UID=1000
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends ca-certificates python3.11 >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && useradd --uid "$RATCHET_UID" --create-home --shell /usr/sbin/nologin ratchet \
    && install -d -o ratchet -g ratchet /opt/served
COPY --from=environment /opt/serving /opt/serving
COPY docker/http_ok.py /usr/local/bin/http-ok
COPY ratchet_command.py /opt/ratchet/
COPY pipeline /opt/ratchet/pipeline
# Compiled here: the file system is read-only where it runs.
RUN /opt/serving/bin/python -m compileall -q /opt/ratchet
ENV PATH=/opt/serving/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/ratchet \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1
USER ratchet
WORKDIR /opt/ratchet
EXPOSE 8600
ENTRYPOINT ["python", "/opt/ratchet/ratchet_command.py"]
# Beyond its own loopback the service takes tokens only: without the file it ends, and says so.
CMD ["serve", "/opt/served", "--host", "0.0.0.0", "--port", "8600", "--tokens", "/run/secrets/tokens"]
