"""What a plan is priced for: a cluster's own machines, GPUs of this one, or what a user names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import InputError
from infra.settings import load_settings
from sweep.cli.offers import offer_here, offer_of_machines
from sweep.engine.planning.cost_model import DEVICE_RATES
from sweep.execution.head import Machine
from tests.cli.conftest import Command

NOBODY = "http://127.0.0.1:9"


def machine(*, cpus: float = 4, gpus: float = 0, gpu_kind: str = "") -> Machine:
    return Machine(
        name="m",
        state="alive",
        cpus=cpus,
        gpus=gpus,
        gpu_kind=gpu_kind,
        cpus_used=None,
        gpus_used=None,
    )


def test_a_cluster_of_gpus_is_priced_as_the_kind_ray_tells() -> None:
    machines = [machine(), machine(gpus=8, gpu_kind="H100"), machine(gpus=4, gpu_kind="H100")]

    offer = offer_of_machines(machines, NOBODY, None, None)

    assert offer is not None
    assert (offer.workers(threads=3), offer.device.name) == (12, "h100")
    assert offer.gib(threads=3) == 80


def test_workers_without_gpus_lie_each_on_one_machine() -> None:
    machines = [machine(cpus=4), machine(cpus=3), machine(cpus=0)]

    offer = offer_of_machines(machines, NOBODY, None, None)

    assert offer is not None
    assert [offer.workers(threads) for threads in (1, 2, 4, 5)] == [7, 3, 1, 0]


@pytest.mark.parametrize(
    ("kinds", "said"),
    [(["L4"], "GPUs L4;"), (["A100", "H100"], "GPUs A100, H100;"), ([""], "Ray does not tell")],
)
def test_gpus_of_no_known_speed_are_priced_only_as_what_a_user_names(
    kinds: list[str], said: str
) -> None:
    machines = [machine(gpus=2, gpu_kind=kind) for kind in kinds]

    with pytest.raises(InputError, match=said):
        offer_of_machines(machines, NOBODY, None, None)
    named = offer_of_machines(machines, NOBODY, None, DEVICE_RATES["a100"])

    assert named is not None
    assert (named.workers(1), named.device.name) == (2 * len(kinds), "a100")


def test_a_cluster_that_has_nothing_yet_offers_what_it_grows_to_if_that_is_said() -> None:
    assert offer_of_machines([machine(cpus=0)], NOBODY, None, None) is None

    offer = offer_of_machines([machine(cpus=0)], NOBODY, 32, DEVICE_RATES["h200"])

    assert offer is not None
    assert (offer.workers(1), offer.device.name) == (32, "h200")


def test_this_machine_offers_its_gpus_unless_its_settings_name_others(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "information").write_text("Model: \t\t NVIDIA H200\n")

    def offered(**settings: str) -> tuple[int, str]:
        environment = {f"RMSWEEP_{name.upper()}": value for name, value in settings.items()}
        offer = offer_here(load_settings(environment), gpus=tmp_path)
        return offer.workers(1), offer.device.name

    assert offered(cpus="3") == (2, "h200")
    assert offered(devices="5", device="a100") == (5, "a100")
    (tmp_path / "0" / "information").write_text("Model: \t\t Some other card\n")
    assert offered(cpus="3") == (3, "cpu-core")


def test_a_cluster_nobody_answers_for_is_said_so_and_so_is_a_name_nobody_gave(
    rmsweep: Command, home: Path
) -> None:
    home.mkdir()

    silent = rmsweep("check", "demo", "--cluster", NOBODY)
    unknown = rmsweep("check", "demo", "--cluster", "lab")

    assert silent.code == 1
    assert f"no Ray head answers at {NOBODY}" in " ".join(silent.err.split())
    assert unknown.code == 2
    assert "lab" in unknown.err
    assert "Traceback" not in silent.err + unknown.err


def test_a_worker_of_more_threads_takes_more_of_this_machine(
    rmsweep: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMSWEEP_CPUS", "8")

    shown = rmsweep("check", "demo", "--set", "set={machine.threads: 2}", "--json")

    assert shown.code == 0, shown.err
    assert json.loads(shown.out)["estimate"]["devices"] == 4
