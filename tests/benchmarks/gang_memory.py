"""Peak memory of the ranks of a gang at every ZeRO stage, against the trainer's estimate of it.

    python -m tests.benchmarks.gang_memory

Ranks are processes of their own, on a processor; a rank's peak is what it reached in two steps
above what it held before it had a model. The highest of the gang's is told.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.measuring import report
from tests.benchmarks.memory import (
    MIB,
    config_of,
    estimated,
    high_water_mark,
    items_of_a_step,
    settled_memory,
)
from tests.benchmarks.ours import OurTrainer
from tests.benchmarks.shapes import vision_language_model
from trainer.config import TrainerConfig
from trainer.gangs.ranks import free_port
from trainer.training.deepspeed_engine import join_gang

WORKERS = 2
STAGES = (0, 1, 2, 3)


def gang_config(stage: int, *, frozen: bool, checkpointing: bool) -> TrainerConfig:
    """Steps of eight pairs, four on each of two ranks."""
    alone = config_of(frozen=frozen, checkpointing=checkpointing)
    machine = alone.machine.model_copy(update={"workers": WORKERS, "zero_stage": stage})
    return alone.model_copy(update={"machine": machine})


def measure(config: TrainerConfig) -> float:
    """Bytes at the peak of two steps of this rank, the model included."""
    torch.set_num_threads(1)
    gang = join_gang(config)
    backbone = vision_language_model()
    items = items_of_a_step(backbone)
    held = settled_memory()
    # What is trained is a copy; this one stays, and is not counted.
    trained = OurTrainer(copy.deepcopy(backbone), items, config, gang)
    for _ in range(2):
        trained.step()
    return high_water_mark() - held


def gang_peak(config: TrainerConfig) -> float:
    """The highest of the ranks' peaks, each in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.gang_memory", "--rank"]
    ranks = [
        subprocess.Popen(
            [*command, config.model_dump_json()],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(WORKERS),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
                "DS_ACCELERATOR": "cpu",
                "OMP_NUM_THREADS": "1",
            },
        )
        for rank in range(WORKERS)
    ]
    said = [rank.communicate()[0] for rank in ranks]
    for rank in ranks:
        if rank.returncode:
            raise RuntimeError(f"a rank ended with exit code {rank.returncode}")
    return max(float(json.loads(each.splitlines()[-1])) for each in said)


def main() -> None:
    """Measure every stage, or be one rank."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gang_memory")
    parser.add_argument("--rank", metavar="CONFIG")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    options = parser.parse_args()
    if options.rank:
        peak = measure(TrainerConfig.model_validate_json(options.rank))
        sys.stdout.write(f"{json.dumps(peak)}\n")
        sys.stdout.flush()
        os._exit(0)  # whoever ends first would be waited for
    rows: list[dict[str, Any]] = []
    for frozen in (False, True):
        for checkpointing in (False, True):
            for stage in STAGES:
                config = gang_config(stage, frozen=frozen, checkpointing=checkpointing)
                peak, expected = gang_peak(config), estimated(config).total
                rows.append(
                    {
                        "vision": "frozen" if frozen else "trained",
                        "checkpointed": checkpointing,
                        "ZeRO stage": stage,
                        "peak of a rank (MiB)": round(peak / MIB),
                        "estimate (MiB)": round(expected / MIB),
                        "estimate over peak": expected / peak,
                    }
                )
    report("gang_memory", rows, options.out)


if __name__ == "__main__":
    main()
