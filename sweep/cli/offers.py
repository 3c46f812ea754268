"""`Offer`: the devices a plan is priced for and laid out on: those here, named ones, a cluster's.

A cluster's head is asked what it has, as `submit` asks it; what a user names overrules that.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from infra.errors import InputError
from infra.findings import hint
from infra.settings import Settings
from sweep.engine.planning.cost_model import CPU_CORE, DEVICE_RATES, DeviceRate
from trainer.memory import GIB

if TYPE_CHECKING:
    from infra.clusters import ClusterEntry
    from sweep.execution.head import Machine

NVIDIA_MACHINE = Path("/proc/driver/nvidia/gpus")
"""Where the driver lists a machine's GPUs; asking it needs neither CUDA nor torch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a sweep would run on."""

    devices: int = 0
    """GPUs, or workers that take no GPU, all machines together."""
    device: DeviceRate = CPU_CORE
    cpus: tuple[int, ...] = ()
    """CPUs of each machine, where how many workers they hold depends on a worker's threads."""

    def workers(self, threads: int) -> int:
        """How many workers of so many threads there is room for at once."""
        return sum(cpus // threads for cpus in self.cpus) if self.cpus else self.devices

    def gib(self, threads: int) -> float:
        """Memory of one device; its part of this machine's where that is what it has."""
        workers = max(1, self.workers(threads))
        return self.device.gib or psutil.virtual_memory().total / GIB / workers


def offer_here(settings: Settings, *, gpus: Path = NVIDIA_MACHINE) -> Offer:
    """What this machine's settings name, else its own GPUs, else its CPUs."""
    if settings.devices is not None or settings.device is not None:
        named = offer_named(settings.devices, settings.device)
        assert named is not None
        return named
    models = [path.read_text(errors="replace") for path in gpus.glob("*/information")]
    kinds = {_rate_of(model) for model in models}
    if len(kinds) == 1 and (rate := kinds.pop()) is not None:
        return Offer(devices=len(models), device=rate)
    return Offer(cpus=(settings.cpus or os.cpu_count() or 1,))


def offer_named(devices: int | None, device: str | None) -> Offer | None:
    """The devices two options name; None when neither was given.

    Raises:
        InputError: If the kind of device is unknown.
    """
    if devices is None and device is None:
        return None
    return Offer(devices=devices or 1, device=_rate(device or CPU_CORE.name))


def offer_of(
    entry: ClusterEntry, devices: int | None = None, device: str | None = None
) -> Offer | None:
    """What a cluster has now; devices and their kind as given or as its entry has them, if so.

    Returns:
        None where it has no devices yet and nobody says what it grows to.

    Raises:
        InputError: If the token is wrong, or it has GPUs whose speed is not known.
        StoreError: If no head answers.
    """
    from sweep.execution.head import Head

    kind = device or entry.device
    rate = None if kind is None else _rate(kind)
    return offer_of_machines(Head(entry).machines(), entry.address, devices or entry.devices, rate)


def offer_of_machines(
    machines: Sequence[Machine], address: str, devices: int | None, rate: DeviceRate | None
) -> Offer | None:
    """The same of machines that were asked for already.

    Raises:
        InputError: If there are GPUs whose speed is not known.
    """
    gpus = sum(int(machine.gpus) for machine in machines)
    cpus = tuple(int(machine.cpus) for machine in machines if machine.cpus >= 1)
    if devices is None and not (gpus or cpus):
        return None
    if gpus and rate is None:
        rate = _rate_of_all({machine.gpu_kind for machine in machines if machine.gpus}, address)
    if gpus or devices is not None:
        return Offer(devices=devices or gpus, device=rate or CPU_CORE)
    return Offer(cpus=cpus) if rate in (None, CPU_CORE) else Offer(devices=1, device=rate)


def _rate_of_all(kinds: Collection[str], address: str) -> DeviceRate:
    rates = {_rate_of(kind) for kind in kinds}
    found = rates.pop() if len(rates) == 1 else None
    if found is not None:
        return found
    named = ", ".join(sorted(kind or "of a kind Ray does not tell" for kind in kinds))
    raise InputError(
        f"the cluster at {address} has GPUs {named}; name the kind they are to be priced as "
        f"({', '.join(DEVICE_RATES)}) as `device` of its entry in clusters.yaml, or for `check` "
        "with --device"
    )


def _rate(name: str) -> DeviceRate:
    if name not in DEVICE_RATES:
        raise InputError(f"unknown device '{name}'{hint(name, DEVICE_RATES)}")
    return DEVICE_RATES[name]


def _rate_of(model: str) -> DeviceRate | None:
    """Of a GPU by the name its maker or Ray gives it, such as `NVIDIA H100 80GB HBM3`."""
    return next((rate for name, rate in DEVICE_RATES.items() if name in model.lower()), None)
