"""What an error says: one line, and no secrets, wherever they come from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LONGEST_LINE, StorageError, UsageError, shortened, without_secrets

SECRET = "s3cret-Pa55"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"http://ann:{SECRET}@host/path", "http://ann:***@host/path"),
        (f"http://ann:{SECRET}@host:5000/path", "http://ann:***@host:5000/path"),
        (f"postgresql+psycopg2://ann:{SECRET}@[::1]:5432/db", "postgresql+psycopg2://ann:***@[::1]:5432/db"),
        (f"mysql://:{SECRET}@host", "mysql://:***@host"),
        ("http://ann:s3cret%2F%40%3A@host", "http://ann:***@host"),
        ("http://ann:s3/cr@e:t@host:1 is gone", "http://ann:***@host:1 is gone"),
        (f"https://{SECRET}@github.com/a.git", "https://***@github.com/a.git"),
        (f"see http://a:{SECRET}@b, then http://c:{SECRET}@d", "see http://a:***@b, then http://c:***@d"),
        (f"postgresql://host/db?user=ann&password={SECRET}", "postgresql://host/db?user=ann&password=***"),
        (f"https://store/x?sv=1&sig={SECRET}#end", "https://store/x?sv=1&sig=***#end"),
        (f"AccountName=a;AccountKey={SECRET};Suffix=b", "AccountName=a;AccountKey=***;Suffix=b"),
        (f"{{'Authorization': 'Basic {SECRET}'}}", "{'Authorization': 'Basic ***'}"),
    ],
)
def test_a_secret_is_masked_where_it_stands(text: str, masked: str) -> None:
    assert without_secrets(text, {}) == masked
    assert str(StorageError(text)) == masked


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000/path: no answer",
        "postgresql://ann@host:5432/db",
        "ssh://git@host/project.git",
        "spark://a:7077,b:7077",
        "sqlite:///registry/mlflow.db?timeout=3",
        "write to ann@example.com, see train.epochs=3; key=value",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text, {}) == text


@pytest.mark.parametrize(
    "variable", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "MY_api_key"]
)
def test_the_value_of_a_secret_variable_is_masked_anywhere(variable: str) -> None:
    assert without_secrets(f"refused: '{SECRET}'", {variable: SECRET}) == "refused: '***'"


def test_the_password_of_an_address_in_a_variable_is_masked_by_itself_too_as_it_is_and_decoded() -> None:
    environment = {"RATCHET_MLFLOW__URI": "mysql://ann:s3cret%2Fpart@host"}
    assert without_secrets("invalid port: 's3cret/part', from s3cret%2Fpart", environment) == (
        "invalid port: '***', from ***"
    )


def test_a_variable_with_a_short_value_or_another_name_hides_nothing() -> None:
    text = "true: /home/ann/keys.json AKIAIOSFODNN7EXAMPLE"
    environment = {
        "USE_TOKEN": "true",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/ann/keys.json",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    }
    assert without_secrets(text, environment) == text


def test_a_secret_inside_of_a_longer_word_is_no_secret() -> None:
    assert without_secrets("the airflow_home of airflow", {"DB_PASSWORD": "airflow"}) == "the airflow_home of ***"


@pytest.mark.long
@given(
    before=st.text(max_size=20),
    password=st.text(st.characters(codec="ascii", exclude_characters=' \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"'), min_size=8),
    port=st.sampled_from(["", ":5000"]),
    after=st.sampled_from(["", "/path", " is gone", ", run again"]),
)
def test_no_password_of_an_address_survives_whatever_its_characters(
    before: str, password: str, port: str, after: str
) -> None:
    said = str(UsageError(f"{before} http://ann:{password}@host{port}{after}"))
    assert said.endswith(f"http://ann:***@host{port}{after}")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=2000), st.sampled_from(["", "'", '"', "`"]))
def test_no_error_is_longer_than_a_line(text: str, quote: str) -> None:
    said = str(UsageError(f"params.yaml: data.path: {quote}{text}{quote} does not exist; name another folder"))
    assert len(said) <= LONGEST_LINE
    assert said.startswith("params.yaml")
    assert said.endswith("folder")


@pytest.mark.parametrize("value", ["x" * 5000, "/".join(["folder"] * 900), "'" + "many words " * 500 + "'"])
def test_of_a_long_value_the_middle_is_left_out(value: str) -> None:
    said = str(UsageError(f"data.path: {value} does not exist; name the folder that holds the source"))
    assert len(said) == LONGEST_LINE
    assert said.startswith(f"data.path: {value[:60]}")
    assert said.endswith(f"{value[-60:]} does not exist; name the folder that holds the source")
    assert said.count("…") == 1


def test_a_short_line_stays_as_it_is() -> None:
    assert shortened("params.yaml: 'seed' is missing") == "params.yaml: 'seed' is missing"
