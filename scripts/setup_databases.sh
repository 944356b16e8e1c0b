#!/usr/bin/env bash
# Installs what the tests of databases need: JDBC drivers of SQLite and PostgreSQL, and PostgreSQL itself (no server is started).
#
#   make setup-databases       (and `make test`: without it, these tests are skipped)
#
# A source `jdbc` needs its driver alone: libxerial-sqlite-jdbc-java or libpostgresql-jdbc-java, or any jar that is named in
# data.source.settings.driver_jar.
# Exit codes: 0 done, 2 only the machine's owner can install it, 75 a download failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$(pwd -P)
log=.ratchet/setup-databases.log
# shellcheck source=scripts/set_up_steps.sh
. scripts/set_up_steps.sh

packages=()
look_for_packages() {
  packages=()
  [ -e /usr/share/java/sqlite-jdbc.jar ] || packages+=(libxerial-sqlite-jdbc-java)
  [ -e /usr/share/java/postgresql.jar ] || packages+=(libpostgresql-jdbc-java)
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
}
is_set_up() { look_for_packages; [ ${#packages[@]} = 0 ]; }
if is_set_up; then exit 0; fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  fail 2 "the tests of databases need: sudo apt-get install -y --no-install-recommends ${packages[*]}"
fi
take_turn .ratchet/setup-databases.lock
# Debian would make a cluster and start it, which nobody here has asked for.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  mkdir -p /etc/postgresql-common
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
fi
apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300
  -o DPkg::Options::=--force-confold -qq -y)
step "looking up packages for databases" download "${apt[@]}" update || fail 75 "apt-get update failed (log: $log)"
step "installing ${packages[*]}" download "${apt[@]}" install --no-install-recommends "${packages[@]}" ||
  fail 75 "apt-get cannot install ${packages[*]} (log: $log)"
is_set_up || fail 2 "apt-get has installed packages, and these are not there: ${packages[*]}"
say "what databases need is ready in $SECONDS s"
