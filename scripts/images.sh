#!/usr/bin/env bash
# Builds the CPU images and tries each: `make images`, or scripts/images.sh [--only NAME].
#
#   --only pipeline|airflow|worker|mlflow|serving   that image alone (a worker stands on a pipeline image that is there already)
#   RATCHET_CACHE=…            where base image, layers and caches are kept without Docker (default ~/.cache/ratchet)
#   RATCHET_DEBIAN_MIRROR=…    where the base image's packages come from (default: debootstrap's own)
#   RATCHET_UID=…              the user inside (default 1000): the owner of the checkout that will be mounted
#   RATCHET_CA=…               certificates to trust while building, if not the machine's own
#   STORAGE_DRIVER=vfs         for buildah, where it does not see for itself that the kernel has no overlay (a storage of its own)
#
# With a Docker engine, it builds and runs. Without one, Debian's buildah does, as root, with chroot isolation, on a base that
# debootstrap makes and that is tagged as the image which the Dockerfiles name: the same steps, in the same files.
# Exit codes: 0 done, 2 the command or the machine will not do, 70 an image could not be built or does not work,
# 75 a download failed.
# shellcheck disable=SC2016  # what stands in single quotes is for the shell inside the image
set -euo pipefail
cd "$(dirname "$0")/.."
names=(pipeline airflow worker mlflow serving)
tag=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
base=$(sed -n 's/^ARG BASE=//p' docker/pipeline.Dockerfile)
cache=${RATCHET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/ratchet}/images
certificates=${RATCHET_CA:-/etc/ssl/certs/ca-certificates.crt}
log=$cache/images.log

say() { printf 'images: %s\n' "$*"; }
fail() { printf 'ratchet: %s\n' "$2" >&2; exit "$1"; }

wanted=("${names[@]}")
while [ $# -gt 0 ]; do
  case $1 in
    --only)
      [[ " ${names[*]} " == *" ${2:-} "* ]] || fail 2 "--only ${2:-}: no such image; one of: ${names[*]}"
      wanted=("$2"); shift 2 ;;
    *) fail 2 "$1: unknown; usage: scripts/images.sh [--only NAME]" ;;
  esac
done

mkdir -p "$cache/tmp" || fail 2 "$cache is not writable"
exec 9>"$cache/lock"
flock --nonblock 9 || fail 75 "another run of this script is at work"
: >"$log"
work=$(mktemp -d "$cache/tmp/work.XXXXXX")
containers=()
clean_up() {
  local container
  for container in ${containers[@]+"${containers[@]}"}; do engine_remove "$container" >/dev/null 2>&1 || true; done
  engine_clean >/dev/null 2>&1 || true
  rm -rf "$work"
}
engine_clean() { :; }
trap clean_up EXIT
child=
trap 'kill -- -$child 2>/dev/null; wait $child 2>/dev/null; exit 130' INT TERM

# step WHAT COMMAND…: says what it does, keeps the output in the log, and says every 30 s that it is still at work.
step() {
  local what=$1 began=$SECONDS ticker status=0
  shift
  say "$what"
  printf '\n== %s\n' "$what" >>"$log"
  ( exec 9>&-; while sleep 30 && kill -0 $$ 2>/dev/null; do say "  still at it after $((SECONDS - began)) s"; done ) & ticker=$!
  set -m # a process group of its own: a signal to this script ends it, and all that it has started
  "$@" >>"$log" 2>&1 & child=$!
  set +m
  wait $child || status=$?
  child=
  { kill $ticker && wait $ticker; } 2>/dev/null || true
  if [ "$status" != 0 ]; then tail -n 20 "$log" >&2; fi
  return "$status"
}

# -- who builds. Each engine knows: base, build FILE TARGET NAME, start NAME (prints a container), run, size, remove.
if docker info >/dev/null 2>&1; then
  say "building with Docker"
  engine_base() { :; }
  engine_build() {
    local below=(--build-arg "RATCHET_UID=${RATCHET_UID:-1000}"); [ "$1" != airflow ] || below+=(--build-arg "PIPELINE=ratchet-pipeline:$tag")
    DOCKER_BUILDKIT=1 docker build --file "docker/$1.Dockerfile" --target "$2" --tag "$3:$tag" \
      "${below[@]}" ${secret[@]+"${secret[@]}"} .
  }
  engine_has() { docker image inspect "$1:$tag" >/dev/null 2>&1; }
  engine_start() { docker run --detach --init --network host --entrypoint sleep "$1:$tag" infinity; }
  engine_run() { docker exec "$@"; }
  engine_size() { docker image inspect --format '{{.Size}}' "$1:$tag"; }
  engine_remove() { docker rm --force "$1"; }
else
  if [ "$(id -u)" != 0 ]; then fail 2 "no Docker engine answers, and building without one takes root: start Docker, or run this as root"; fi
  lacks=()
  for program in buildah debootstrap; do command -v $program >/dev/null || lacks+=("$program"); done
  if [ ${#lacks[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail 2 "no Docker engine answers, and ${lacks[*]} cannot be installed here: there is no apt-get"
    apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 -qq -y)
    step "installing ${lacks[*]}" "${apt[@]}" install --no-install-recommends "${lacks[@]}" ||
      { step "looking up packages" "${apt[@]}" update && step "installing ${lacks[*]}" "${apt[@]}" install --no-install-recommends "${lacks[@]}"; } ||
      fail 75 "${lacks[*]} could not be installed (log: $log)"
  fi
  say "no Docker engine answers: building with $(buildah --version)"
  export TMPDIR=$cache/tmp BUILDAH_ISOLATION=chroot
  # --uts host: a container's own host name does not resolve under chroot isolation, and Horovod's Gloo then crashes.
  buildah=(buildah --root "$cache/storage" --runroot "$cache/run" ${STORAGE_DRIVER:+--storage-driver "$STORAGE_DRIVER"})
  engine_base() {
    if "${buildah[@]}" inspect --type image "$base" >/dev/null 2>&1; then return 0; fi
    step "making the base with debootstrap, in place of $base" make_base || fail 75 "debootstrap failed (log: $log)"
  }
  engine_build() {
    local below=(--build-arg "RATCHET_UID=${RATCHET_UID:-1000}"); [ "$1" != airflow ] || below+=(--build-arg "PIPELINE=localhost/ratchet-pipeline:$tag")
    "${buildah[@]}" build --format docker --layers=false --pull-never --uts host --file "docker/$1.Dockerfile" --target "$2" \
      --ignorefile "docker/$1.Dockerfile.dockerignore" "${below[@]}" \
      ${secret[@]+"${secret[@]}"} --tag "$3:$tag" .
  }
  engine_has() { "${buildah[@]}" inspect --type image "localhost/$1:$tag" >/dev/null 2>&1; }
  engine_start() { "${buildah[@]}" from --pull-never --uts host "localhost/$1:$tag"; }
  engine_run() { local container=$1; shift; "${buildah[@]}" run "$container" -- "$@"; }
  engine_size() { "${buildah[@]}" images --format '{{.Size}}' "localhost/$1:$tag"; }
  engine_remove() { "${buildah[@]}" rm "$1"; }
  engine_clean() { "${buildah[@]}" rm --all && "${buildah[@]}" rmi --prune; } # this storage is ours: also what a killed build left
  engine_clean >/dev/null 2>&1 || true
fi
secret=()
if [ -r "$certificates" ]; then secret=(--secret "id=ca,src=$certificates"); fi

make_base() { # a Debian 12 as slim as the official one: the smallest variant, without manuals, with updates and fixes
  local root=$work/base mirror container
  debootstrap --variant=minbase bookworm "$root" ${RATCHET_DEBIAN_MIRROR:+"$RATCHET_DEBIAN_MIRROR"} || return
  mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p;T;q' "$root/etc/apt/sources.list") # the one that debootstrap used
  cat >"$root/etc/dpkg/dpkg.cfg.d/docker" <<'CFG'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
CFG
  rm -rf "$root"/usr/share/{info,locale,man}/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/*
  printf '%s\n' "deb $mirror bookworm main" "deb $mirror bookworm-updates main" \
    "deb ${mirror%/}-security bookworm-security main" >"$root/etc/apt/sources.list"
  container=$("${buildah[@]}" from scratch) || return
  containers+=("$container")
  "${buildah[@]}" add --quiet "$container" "$root" / &&
    "${buildah[@]}" config --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container" &&
    "${buildah[@]}" commit --quiet --format docker --rm "$container" "$base" || return
  rm -rf "$root"
}

# -- what is tried in each image, as the user that it runs as
declare -A image_of=([pipeline]=ratchet-pipeline [airflow]=ratchet-airflow [worker]=ratchet-worker [mlflow]=ratchet-mlflow [serving]=ratchet-serving)
declare -A file_of=([pipeline]=pipeline [airflow]=airflow [worker]=airflow [mlflow]=mlflow [serving]=serving)
declare -A target_of=([pipeline]=cpu [airflow]=airflow [worker]=worker [mlflow]=mlflow [serving]=serving)
small_run=(ratchet run --set train.epochs=1 --set augment.copies=0
  --set "gate.minimum={accuracy: 0.5, macro_f1: 0.4}" --set "gate.maximum={cross_entropy: 2.0, calibration_error: 0.5}")
try_pipeline() {
  trial pipeline "not as root" sh -c '[ "$(id -u)" != 0 ]'
  trial pipeline "no compiler inside" sh -c '! command -v g++ cc make'
  trial pipeline "ratchet doctor" ratchet doctor
  trial pipeline "ratchet run (1 epoch)" "${small_run[@]}"
  trial pipeline "ratchet registry list" ratchet registry list
}
try_airflow() {
  trial airflow "not as root" sh -c '[ "$(id -u)" != 0 ]'
  trial airflow "airflow version" airflow version
  trial airflow "Celery, Redis, PostgreSQL" python -c 'import airflow.providers.celery.executors.celery_executor, psycopg2, asyncpg, redis'
}
try_worker() {
  trial worker "not as root" sh -c '[ "$(id -u)" != 0 ]'
  trial worker "airflow version" airflow version
  trial worker "ratchet doctor" ratchet doctor
}
try_mlflow() {
  trial mlflow "not as root" sh -c '[ "$(id -u)" != 0 ]'
  trial mlflow "mlflow --version" mlflow --version
  trial mlflow "answers on /health" sh -c 'mlflow server --host 127.0.0.1 --port 15000 --serve-artifacts >/tmp/log 2>&1 &
    for i in $(seq 60); do sleep 1; http-ok http://127.0.0.1:15000/health OK 2>/dev/null && good=0 && break; done
    kill $!; [ "${good:-1}" = 0 ] || { cat /tmp/log; exit 1; }'
}
try_serving() {
  trial serving "not as root" sh -c '[ "$(id -u)" != 0 ]'
  trial serving "no compiler, no Java inside" sh -c '! command -v g++ cc make java'
  trial serving "no Spark, Horovod, MLflow" python -c 'import importlib.util as u, sys; sys.exit(any(map(u.find_spec, ("pyspark", "horovod", "mlflow"))))'
  trial serving "alive, and not ready, without a model" sh -c 'cd /opt/ratchet
    ratchet="python ratchet_command.py serve"
    $ratchet --new-token trial --tokens /tmp/tokens >/dev/null || exit
    $ratchet /opt/served --host 0.0.0.0 --port 18600 --tokens /tmp/tokens >/tmp/log 2>&1 & service=$!
    for i in $(seq 60); do sleep 1; http-ok http://127.0.0.1:18600/health/live true 2>/dev/null && good=0 && break; done
    if http-ok http://127.0.0.1:18600/health/ready 2>/dev/null; then good=1; fi
    kill $service; wait $service || good=1; [ "${good:-1}" = 0 ] || { cat /tmp/log; exit 1; }'
}

rows=() failures=0 container=''
trial() { # trial IMAGE WHAT COMMAND…: adds a row with what came of it
  local image=$1 what=$2 began=$SECONDS status=0
  shift 2
  step "  $image: $what" engine_run "$container" "$@" || status=$?
  rows+=("$image|$what|$([ "$status" = 0 ] && echo ok || echo "failed with $status")|$((SECONDS - began)) s")
  [ "$status" = 0 ] || failures=$((failures + 1))
}

engine_base
for name in "${wanted[@]}"; do
  image=${image_of[$name]}
  if [ "$name" = worker ] && ! engine_has ratchet-pipeline; then fail 2 "a worker stands on ratchet-pipeline:$tag: build that first"; fi
  began=$SECONDS
  step "building $image:$tag" engine_build "${file_of[$name]}" "${target_of[$name]}" "$image" ||
    fail 70 "$image could not be built (log: $log)"
  rows+=("$name|built, $(engine_size "$image")|ok|$((SECONDS - began)) s")
  container=$(engine_start "$image")
  containers+=("$container")
  "try_$name"
  engine_remove "$container" >/dev/null
done

printf '\n%-10s %-28s %-16s %s\n' image what result time
for row in "${rows[@]}"; do
  IFS='|' read -r image what result time <<<"$row"
  printf '%-10s %-28s %-16s %s\n' "$image" "$what" "$result" "$time"
done
if [ "$failures" -gt 0 ]; then fail 70 "$failures trials failed (log: $log)"; fi
