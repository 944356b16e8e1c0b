"""Which GPU a rank is shown, on machines made by a stand-in for NVIDIA's driver."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.launching import devices
from pipeline.launching.devices import device_variables, resolved, slots_of
from pipeline.recipe.execution import HorovodSettings
from pipeline.recipe.recipe import Device
from pipeline.runtime.gpus import Gpu, Sight
from tests.nvidia_smi import install_tensorflow_with_cuda, put_nvidia_smi, uuid

VISIBLE = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def tensorflow_with_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    install_tensorflow_with_cuda(monkeypatch)
    monkeypatch.setattr(devices, "is_local", lambda host: host.startswith("localhost"))


def shown(environment: dict[str, str], workers: int, hosts: str = "localhost") -> list[dict[str, str]]:
    return device_variables("gpu", slots_of(HorovodSettings(workers=workers, hosts=hosts)), environment)


def test_a_rank_that_computes_on_the_processor_is_shown_nothing_whatever_the_machine_has(tmp_path: Path) -> None:
    slots = slots_of(HorovodSettings(workers=2))
    assert device_variables("cpu", slots, put_nvidia_smi(tmp_path, 2)) == [{}, {}]


def test_each_rank_sees_the_gpu_of_its_number_and_no_other(tmp_path: Path) -> None:
    assert shown(put_nvidia_smi(tmp_path, 3), 2) == [{VISIBLE: uuid(0)}, {VISIBLE: uuid(1)}]


def test_the_gpus_that_somebody_has_selected_are_given_out(tmp_path: Path) -> None:
    environment = {**put_nvidia_smi(tmp_path, 4), VISIBLE: "3,1"}
    assert shown(environment, 2) == [{VISIBLE: uuid(3)}, {VISIBLE: uuid(1)}]


def test_a_rank_elsewhere_takes_the_gpu_of_its_number_there(tmp_path: Path) -> None:
    found = shown(put_nvidia_smi(tmp_path, 1), 3, "localhost:1,node1:2")
    assert found[0] == {VISIBLE: uuid(0)}
    assert found[1:] == [{VISIBLE: number, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"} for number in ("0", "1")]


def test_a_machine_without_ranks_needs_no_gpu(tmp_path: Path) -> None:
    assert [one[VISIBLE] for one in shown({"PATH": str(tmp_path)}, 2, "node1:1,node2:1")] == ["0", "0"]


def test_two_names_of_this_machine_do_not_share_a_gpu(tmp_path: Path) -> None:
    found = shown(put_nvidia_smi(tmp_path, 2), 2, "localhost:1,localhost.localdomain:1")
    assert found == [{VISIBLE: uuid(0)}, {VISIBLE: uuid(1)}]


@given(
    slots=st.lists(
        st.tuples(st.sampled_from(["localhost", "localhost.localdomain", "node1", "node2"]), st.integers(1, 4)),
        min_size=1,
        unique_by=lambda host: host[0],
    ),
    data=st.data(),
)
def test_no_two_ranks_of_a_machine_ever_see_the_same_gpu(slots: list[tuple[str, int]], data: st.DataObject) -> None:
    workers = data.draw(st.integers(1, sum(count for _, count in slots)))
    assigned = slots_of(HorovodSettings(workers=workers, hosts=",".join(f"{host}:{count}" for host, count in slots)))
    seen = Sight(tuple(Gpu(uuid(number), "made") for number in range(8)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "is_local", lambda host: host.startswith("localhost"))
        patch.setattr(devices.gpus, "look", lambda environment: seen)
        shown = [each[VISIBLE] for each in device_variables("gpu", assigned, {})]
    machines = [slot.host.partition(".")[0] for slot in assigned]
    assert len(set(zip(machines, shown, strict=True))) == workers
    assert all(
        (gpu in [uuid(number) for number in range(8)]) == (machine == "localhost")
        for machine, gpu in zip(machines, shown, strict=True)
    )


def test_without_a_gpu_the_recipe_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"^train\.device: gpu, but this machine has none .*no nvidia-smi on PATH.*; use cpu"
    ) as refused:
        shown({"PATH": str(tmp_path)}, 2)
    assert "\n" not in str(refused.value)


def test_more_ranks_than_gpus_are_refused_with_the_number_that_fits(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^horovod\.workers: 3 ranks on this machine.*2 GPUs: .*; use 2, or another"):
        shown(put_nvidia_smi(tmp_path, 2), 3)


@pytest.mark.parametrize(
    ("asked", "gpus", "device"), [("auto", 1, "gpu"), ("auto", 0, "cpu"), ("gpu", 0, "gpu"), ("cpu", 1, "cpu")]
)
def test_auto_is_what_there_is_and_what_is_said_stays(tmp_path: Path, asked: Device, gpus: int, device: str) -> None:
    assert resolved(asked, put_nvidia_smi(tmp_path, gpus))[0] == device


def test_auto_is_the_processor_where_tensorflow_knows_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    device, why = resolved("auto", put_nvidia_smi(tmp_path, 2))
    assert device == "cpu"
    assert "tensorflow" in why.lower()
