"""A gang whose ranks are on machines with addresses of their own, as on a real network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.object_store import LocalStore
from tests.cluster.networks import Namespaces, may_separate
from tests.trainer.trials import small_config
from trainer.gangs.interfaces import interface_towards
from trainer.gangs.rank_child import GangPart

PART = """
import sys
from trainer.config import TrainerConfig
from trainer.gangs.rank_child import GangPart
from trainer.gangs.ranks import TrialProcess

config, part, store, identity = sys.argv[1:]
process = TrialProcess(
    TrainerConfig.model_validate_json(config),
    store_uri=store,
    identity=identity,
    part=GangPart.model_validate_json(part),
)
told = 0
for message in process.messages():
    told += 1
    process.answer("continue")
print("told", told)
"""
"""What one machine runs: its part of the gang."""

BARE_NAME = ["unshare", "--uts", "sh", "-c", 'hostname localhost && exec "$@"', "sh"]
"""The machine's name stands for its loopback, as `/etc/hosts` has it on many."""


@pytest.fixture
def machines() -> Iterator[Namespaces]:
    if not may_separate():
        pytest.skip("network namespaces need root and `ip`")
    network = Namespaces()
    try:
        yield network
    finally:
        network.close()


def test_ranks_meet_over_the_network_where_their_hosts_names_mean_loopback(
    machines: Namespaces, backbone_folder: Path, tmp_path: Path
) -> None:
    config = small_config(
        backbone_folder,
        strategy={"batch_pairs": 8},
        machine={"workers": 2, "zero_stage": 1, "micro_batch_pairs": 4},
    )
    store = LocalStore(tmp_path / "store")
    address = machines.add("one")
    machines.add("two")
    whole = GangPart(
        first=0, count=1, master_address=address, master_port=29511, log_prefix="logs/apart"
    )
    parts = {
        name: subprocess.Popen(
            [
                *(*machines.command(name), *BARE_NAME, sys.executable, "-c", PART),
                config.model_dump_json(),
                whole.model_copy(update={"first": first}).model_dump_json(),
                *(store.uri, "apart"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for first, name in enumerate(("one", "two"))
    }
    try:
        said = {name: part.communicate(timeout=300)[0] for name, part in parts.items()}
    finally:
        for part in parts.values():
            part.kill()

    assert {name: part.returncode for name, part in parts.items()} == {"one": 0, "two": 0}, said
    assert int(said["one"].split()[-1]) > 0
    assert said["two"].split()[-1] == "0"


def test_the_interface_of_loopback_is_the_one_that_has_it() -> None:
    interface = interface_towards("127.0.0.1", 1)

    assert interface is not None
    assert interface.startswith("lo")


def test_an_address_that_leads_nowhere_has_no_interface() -> None:
    assert interface_towards("no-such-host.invalid", 1) is None
