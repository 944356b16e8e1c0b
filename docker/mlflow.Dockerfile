# MLflow's server: the registry in a database, artifacts through the server itself, so that its clients need no access
# to where they lie.
#
#   docker build --file docker/mlflow.Dockerfile --tag ratchet-mlflow:0.1.0 .
ARG BASE=docker.io/library/debian:bookworm-20260824-slim

FROM ${BASE} AS environment
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends ca-certificates python3.11 python3.11-venv >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ENV RATCHET_CACHE=/var/cache/ratchet UV_CACHE_DIR=/var/cache/ratchet/uv UV_LINK_MODE=copy
WORKDIR /build
COPY requirements/bootstrap.txt requirements/mlflow.txt requirements/
COPY scripts/uv.sh scripts/find_python.sh scripts/
RUN --mount=type=cache,target=/var/cache/ratchet,sharing=locked --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi; \
    uv=$(scripts/uv.sh) \
    && "$uv" venv --quiet --python /usr/bin/python3.11 /opt/mlflow \
    && "$uv" pip sync --quiet --compile-bytecode --require-hashes --python /opt/mlflow/bin/python requirements/mlflow.txt

FROM ${BASE} AS mlflow
ARG RATCHET_UID=1000
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends ca-certificates python3.11 >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && useradd --uid "$RATCHET_UID" --create-home --shell /usr/sbin/nologin mlflow \
    && install -d -o mlflow -g mlflow /var/lib/mlflow /var/lib/mlflow/artifacts
COPY --from=environment /opt/mlflow /opt/mlflow
COPY docker/http_ok.py /usr/local/bin/http-ok
ENV PATH=/opt/mlflow/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/mlflow \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    MLFLOW_BACKEND_STORE_URI=sqlite:////var/lib/mlflow/mlflow.db \
    MLFLOW_ARTIFACTS_DESTINATION=/var/lib/mlflow/artifacts
USER mlflow
WORKDIR /var/lib/mlflow
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--serve-artifacts"]
