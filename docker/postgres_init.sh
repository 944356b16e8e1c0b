#!/usr/bin/env bash
# Run once by PostgreSQL's image, on an empty data folder: a database and a role for Airflow, and one for MLflow.
set -euo pipefail
for name in airflow mlflow; do
  password=${name^^}_DB_PASSWORD
  psql --quiet --set ON_ERROR_STOP=1 --username postgres --set name="$name" --set password="${!password:?}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
