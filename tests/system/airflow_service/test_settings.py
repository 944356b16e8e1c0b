"""Airflow's settings for a shell, and the script's help."""

from __future__ import annotations

import subprocess

from tests.system.airflow_service.stand_in import Checkout


def test_the_environment_can_be_taken_over_by_a_shell(checkout: Checkout) -> None:
    def read(**variables: str) -> dict[str, str]:
        exports = checkout.call("env", "--port", "8123", **variables).stdout
        assert all(line.startswith("export ") for line in exports.splitlines())
        command = f"{exports}\nenv -0"
        done = subprocess.run(["bash", "-c", command], env={}, capture_output=True, text=True, check=True)
        return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if pair)

    found = read()
    assert found["AIRFLOW_HOME"] == str(checkout.root / ".airflow")
    assert found["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert found["PYTHONPATH"] == str(checkout.root)
    assert found["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
    assert "127.0.0.1" in found["NO_PROXY"].split(",")
    assert read(AIRFLOW__CORE__PARALLELISM="3")["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert read(AIRFLOW_HOME="/elsewhere")["AIRFLOW_HOME"] == str(checkout.root / ".airflow")


def test_the_help_tells_the_verbs(checkout: Checkout) -> None:
    told = checkout.call("--help")
    assert told.returncode == 0
    for verb in ("start", "stop", "status", "env"):
        assert f"scripts/airflow.sh {verb}" in told.stdout
