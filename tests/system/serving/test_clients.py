"""What the campaign of the clients holds their answers to; see `clients`, which needs an environment of its own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.serving import made
from tests.system.serving.asking import CLIENTS
from tests.system.serving.clients import BOUNDS, is_refused_rightly, judged

ANSWERS = np.asarray([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], np.float32)


def test_each_client_has_its_bound() -> None:
    assert [client.__name__ for client in CLIENTS] == list(BOUNDS)


@pytest.mark.parametrize("client", BOUNDS)
def test_answers_that_differ_too_far_are_wrong(client: str) -> None:
    record = made.record(made.IMAGE)
    assert judged("zoo", client, ANSWERS, ANSWERS, record).is_right
    for other in (ANSWERS[:, ::-1], ANSWERS[:1], np.full_like(ANSWERS, np.nan)):
        assert not judged("zoo", client, other, ANSWERS, record).is_right
    assert judged("zoo", client, ANSWERS + np.float32(0.001), ANSWERS, record).is_right == (client == "litert_int8")


def test_a_form_may_be_missing_only_where_it_is_for_other_features() -> None:
    for client in ("tritonclient", "kserve", "tensorflow_serving", "tensorflow_session", "mlflow_pyfunc"):
        assert not is_refused_rightly(client, made.record(made.ALL))
    for client in ("onnxruntime", "litert", "litert_int8"):
        assert is_refused_rightly(client, made.record(made.TEXT))
        assert not is_refused_rightly(client, made.record(made.IMAGE))
    assert is_refused_rightly("litert_int8", made.record(made.IMAGE, classes=()))
    assert not is_refused_rightly("litert", made.record(made.IMAGE, classes=()))
