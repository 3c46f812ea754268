"""What this machine can train on, and the layout of a training that fits it.

Looking at an accelerator takes a part of its memory, so a child process does it and ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass

from infra.errors import InputError
from trainer.catalog import lookup
from trainer.config import TrainerConfig
from trainer.layouts import settle_machine
from trainer.memory import GIB, process_gib
from trainer.token_counts import mean_tokens, row_tokens

AUTO = "auto"
"""Written instead of a machine's settings: they are settled where the training begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """What ranks can have here."""

    count: int
    """Accelerators; 1 where there is none, since ranks on CPUs would share one memory."""
    gib: float
    """Free on each of them."""
    accelerated: bool


def devices_here() -> Devices:
    """The devices of this machine as they are now.

    Raises:
        InputError: If they cannot be looked at.
    """
    command = [sys.executable, "-m", "trainer.devices"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        told = ran.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise InputError(
            f"this machine's devices cannot be looked at ({told[0]}); write machine's settings "
            f"instead of {AUTO!r}"
        )
    return Devices(**json.loads(ran.stdout.splitlines()[-1]))


def settled_on(devices: Devices, config: TrainerConfig) -> TrainerConfig:
    """The config with the workers, ZeRO stage, micro batch and checkpointing that fit the devices.

    Raises:
        InputError: If nothing fits; says how much the smallest layout would take.
        BackboneError: If the backbone is unknown.
    """
    entry = lookup(config.backbone)
    counts = mean_tokens(config, entry)
    machine = settle_machine(
        config,
        entry,
        gib=devices.gib - process_gib(accelerated=devices.accelerated),
        max_workers=devices.count,
        row_tokens=row_tokens(config, counts),
        image_tokens=counts.image,
        accelerated=devices.accelerated,
    )
    return TrainerConfig.model_validate(config.model_dump() | {"machine": machine.model_dump()})


def layout_text(config: TrainerConfig) -> str:
    """How a training is laid out, in one line."""
    machine = config.machine
    share = config.strategy.batch_pairs // machine.workers
    checkpointing = "" if machine.gradient_checkpointing else "no "
    return (
        f"{machine.workers} worker{'s' if machine.workers != 1 else ''}, ZeRO stage "
        f"{machine.zero_stage}, {machine.micro_batch_pairs or share} of {share} pairs at once, "
        f"{checkpointing}gradient checkpointing"
    )


def _look() -> Devices:
    import torch

    from trainer.members.member_models import available_bytes

    if not torch.cuda.is_available():
        free = available_bytes(torch.device("cpu"))
        return Devices(count=1, gib=free / GIB, accelerated=False)
    count = torch.cuda.device_count()
    free = min(torch.cuda.mem_get_info(number)[0] for number in range(count))
    return Devices(count=count, gib=free / GIB, accelerated=True)


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps(asdict(_look()))}\n")
