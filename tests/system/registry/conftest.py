"""What the tests of the registry share: models by name, an empty registry, and folders to judge and publish in."""

from __future__ import annotations

import shutil
import socket

import pytest
import yaml

from pipeline.evaluation.predict import predict
from pipeline.models import stored
from pipeline.models.build import build
from pipeline.recipe.execution import MLflowSettings
from pipeline.records.architecture import Architecture
from pipeline.registry.store import resolve_store
from pipeline.stages import resolve
from pipeline.stages.context import StageContext
from tests.models.made import image
from tests.system.prepared import write_images
from tests.system.project import ROOT
from tests.system.registry.shapes import CLASSES, NAME, SHAPE, Workspace, Zoo, pictures


@pytest.fixture(scope="session")
def zoo(tmp_path_factory):
    """`first` and `second` know the classes; `bad` was never trained; `other` knows other classes."""
    import keras

    folder = tmp_path_factory.mktemp("zoo")
    pixels, labels = pictures(600, seed=2)
    made = Zoo(folder, pixels, labels)
    train_pixels, train_labels = pictures(1500, seed=1)
    for number, name in enumerate(("first", "second", "bad", "other")):
        classes = ("cat", "dog", "cow") if name == "other" else CLASSES
        architecture = Architecture(
            name="mlp",
            settings={"units": [16], "dropout": 0.0},
            task="classification",
            features=(image(SHAPE, mean=100.0, std=50.0),),
            classes=classes,
        )
        keras.utils.set_random_seed(number)
        model = build(architecture)
        if name != "bad":
            model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
            model.fit({"image": train_pixels}, train_labels, epochs=4, verbose=0)
        made.model(name).mkdir()
        stored.save(made.model(name), architecture, model)
        made.answers[name] = predict(made.model(name), {"image": pixels})
    return made


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory):
    """A registry without content: MLflow takes seconds to make one."""
    from pipeline.registry.tracking import open_client

    folder = tmp_path_factory.mktemp("empty")
    store = resolve_store(folder, MLflowSettings(uri=f"sqlite:///{folder}/mlflow.db"))
    open_client(store).search_registered_models()
    return store.database


@pytest.fixture
def make_workspace(tmp_path, zoo, empty_database):
    (tmp_path / "registry").mkdir()
    shutil.copyfile(empty_database, tmp_path / "registry" / "mlflow.db")

    def make(folder: str = "work", uri: str | None = None) -> Workspace:
        root = tmp_path / folder
        root.mkdir()
        shutil.copyfile(ROOT / "dvc.yaml", root / "dvc.yaml")
        (root / "pipeline").symlink_to(ROOT / "pipeline")
        recipe = yaml.safe_load((ROOT / "params.yaml").read_text())
        recipe["name"] = NAME
        recipe["data"]["classes"] = list(CLASSES)
        recipe["gate"] |= {
            "minimum": {"accuracy": 0.6},
            "maximum": {"cross_entropy": 2.0},
            "rule": {"name": "margin", "settings": {"margin": 0.1, "slice_margin": 0.3, "resamples": 500}},
            "parity": {"rows": 100},
        }
        (root / "params.yaml").write_text(yaml.safe_dump(recipe))
        store = {
            "uri": uri or f"sqlite:///{tmp_path}/registry/mlflow.db",
            "artifacts": f"{tmp_path}/registry/artifacts",
        }
        (root / "execution.yaml").write_text(yaml.safe_dump({"mlflow": store, "export": {"formats": []}}))
        shutil.copytree(ROOT / "data_contracts", root / "data_contracts")
        resolve.run(StageContext.load(root, "resolve"))
        workspace = Workspace(root, zoo)
        ids = [f"row-{number}" for number in range(len(zoo.labels))]
        for part in ("test", "validation"):
            write_images(root / "data" / "prepared" / part, ids, zoo.pixels, zoo.labels)
        return workspace

    return make


@pytest.fixture
def workspace(make_workspace):
    return make_workspace()


@pytest.fixture
def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
