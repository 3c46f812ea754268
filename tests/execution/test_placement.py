"""Bundles for gangs and devices of clusters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from infra.errors import InputError
from sweep.execution.cluster import Cluster, Node
from sweep.execution.placement import device_count, find_place, gang_bundles, ranks_in
from trainer.config import MachineConfig


def cluster_of(*nodes: tuple[float, float]) -> Cluster:
    made = tuple(Node(cpus=cpus, gpus=gpus) for cpus, gpus in nodes)
    return Cluster(embedded=True, nodes=made, on_gpus=any(gpus for _, gpus in nodes))


def test_a_gang_that_fits_on_one_machine_is_one_bundle_with_all_its_gpus() -> None:
    machine = MachineConfig(workers=4, threads=2)

    assert gang_bundles(machine, cluster_of((16, 8))) == ({"CPU": 8.0, "GPU": 4.0},)
    assert gang_bundles(machine, cluster_of((8, 0))) == ({"CPU": 8.0},)


def test_a_gang_larger_than_every_machine_is_one_bundle_per_machine() -> None:
    machine = MachineConfig(workers=10, threads=2)
    bundles = gang_bundles(machine, cluster_of((8, 0), (16, 4), (64, 8)))

    assert bundles == ({"CPU": 16.0, "GPU": 8.0}, {"CPU": 4.0, "GPU": 2.0})
    assert [ranks_in(bundle, machine) for bundle in bundles] == [8, 2]


def test_machines_without_room_for_a_rank_are_left_out() -> None:
    machine = MachineConfig(workers=5, threads=2)
    bundles = gang_bundles(machine, cluster_of((1, 0), (6, 0), (5, 0)))

    assert [ranks_in(bundle, machine) for bundle in bundles] == [3, 2]


def test_a_gang_larger_than_all_machines_together_is_refused_with_what_they_hold() -> None:
    with pytest.raises(InputError, match=r"2 machine\(s\) of the cluster hold 6, with 6 CPUs"):
        gang_bundles(MachineConfig(workers=7), cluster_of((4, 0), (2, 0)))


def test_devices_are_the_ranks_all_machines_have_room_for() -> None:
    threads = [MachineConfig(threads=2), MachineConfig(threads=1)]

    assert device_count(threads, cluster_of((32, 8), (4, 0))) == 8
    assert device_count(threads, cluster_of((8, 8))) == 4, "two threads for each GPU"
    assert device_count(threads, cluster_of((5, 0), (4, 0))) == 4


def test_a_cluster_whose_gpu_machines_are_gone_holds_nothing_and_trains_on_no_cpu() -> None:
    left = replace(cluster_of((16, 8), (64, 0)), nodes=(Node(cpus=64, gpus=0),))

    assert device_count([MachineConfig()], left) == 0
    with pytest.raises(InputError, match="hold 0"):
        gang_bundles(MachineConfig(), left)


def test_who_needs_gpus_is_not_trained_on_cpus() -> None:
    machine = MachineConfig(workers=2, needs_gpu=True)

    assert gang_bundles(machine, cluster_of((8, 2))) == ({"CPU": 2.0, "GPU": 2.0},)
    with pytest.raises(InputError, match=r"asks for GPUs .* the 2 machine\(s\) .* have none"):
        gang_bundles(machine, cluster_of((8, 0), (8, 0)))


def named(*nodes: str) -> Cluster:
    made = tuple(Node(cpus=4, gpus=0, node_id=name) for name in nodes)
    return Cluster(embedded=False, nodes=made)


def test_a_trial_is_tried_on_another_machine_than_those_that_failed_it() -> None:
    place = find_place(MachineConfig(workers=4), named("a", "b"), failed={"a"})

    assert place.avoided == ("a",)
    assert place.bundles == ({"CPU": 4.0},)


@pytest.mark.parametrize("failed", [{"a", "b"}, {"b"}])
def test_where_no_other_machine_could_hold_it_it_is_tried_where_it_failed(failed: set[str]) -> None:
    place = find_place(MachineConfig(workers=8), named("a", "b"), failed=failed)

    assert place.avoided == ()
    assert place.parts == (4, 4)


def test_trials_that_share_a_gpu_take_a_part_of_it_and_all_their_threads() -> None:
    half = MachineConfig(threads=2, trials_per_gpu=2, needs_gpu=True)

    (bundle,) = gang_bundles(half, cluster_of((16, 2)))

    assert bundle == {"CPU": 2.0, "GPU": 0.5}
    assert ranks_in(bundle, half) == 1
    assert half.devices == 0.5
    # Four threads for each GPU that two trials share.
    assert device_count([half], cluster_of((16, 2))) == 2
    assert device_count([half], cluster_of((7, 2))) == 1


@pytest.mark.parametrize("asked", [{"workers": 2, "needs_gpu": True}, {"needs_gpu": False}])
def test_only_trials_of_one_worker_that_need_a_gpu_share_one(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="that takes workers 1 and needs_gpu true"):
        MachineConfig(trials_per_gpu=2, **asked)
