# Airflow's images, after pipeline.Dockerfile's. Targets: `airflow` for the services that start no tasks of the pipeline
# (API server, scheduler, DAG processor, triggerer), `worker` for those that do: the pipeline's image plus Airflow.
#
#   docker build --file docker/airflow.Dockerfile --target airflow --tag ratchet-airflow:0.1.0 .
#   docker build --file docker/airflow.Dockerfile --target worker --tag ratchet-worker:0.1.0 .
#
# Airflow has an environment of its own, /opt/airflow/venv; the tasks' commands run in the pipeline's (/opt/ratchet/.venv).
ARG BASE=docker.io/library/debian:bookworm-20260824-slim
ARG PIPELINE=ratchet-pipeline:0.1.0

FROM ${BASE} AS environment
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends ca-certificates python3.11 python3.11-venv >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
ENV RATCHET_CACHE=/var/cache/ratchet UV_CACHE_DIR=/var/cache/ratchet/uv UV_LINK_MODE=copy
WORKDIR /build
COPY requirements/bootstrap.txt requirements/airflow_team.txt requirements/
COPY scripts/uv.sh scripts/find_python.sh scripts/
RUN --mount=type=cache,target=/var/cache/ratchet,sharing=locked --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi; \
    uv=$(scripts/uv.sh) \
    && "$uv" venv --quiet --python /usr/bin/python3.11 /opt/airflow/venv \
    && "$uv" pip sync --quiet --compile-bytecode --require-hashes --python /opt/airflow/venv/bin/python \
        requirements/airflow_team.txt

FROM ${BASE} AS airflow
ARG RATCHET_UID=1000
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get -qq update \
    && apt-get -qq install -y --no-install-recommends ca-certificates python3.11 >/dev/null \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log \
    && useradd --uid "$RATCHET_UID" --create-home --shell /bin/bash ratchet \
    && install -d -o ratchet -g ratchet /opt/ratchet /opt/airflow /opt/airflow/logs
COPY --from=environment /opt/airflow/venv /opt/airflow/venv
COPY docker/http_ok.py /usr/local/bin/http-ok
ENV AIRFLOW_HOME=/opt/airflow \
    PATH=/opt/airflow/venv/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/home/ratchet \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1
USER ratchet
WORKDIR /opt/ratchet
CMD ["airflow", "version"]

FROM ${PIPELINE} AS worker
USER root
RUN install -d -o ratchet -g ratchet /opt/airflow /opt/airflow/logs
COPY --from=environment /opt/airflow/venv /opt/airflow/venv
ENV AIRFLOW_HOME=/opt/airflow \
    PATH=/opt/airflow/venv/bin:/opt/ratchet-venv/bin:/usr/local/bin:/usr/bin:/bin
USER ratchet
CMD ["airflow", "celery", "worker"]
