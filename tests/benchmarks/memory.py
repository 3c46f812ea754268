"""Peak memory of training steps in processes of their own: ours, graph A, graph B, the estimate.

    python -m tests.benchmarks.memory

The peak is what the process reached in two steps above what it held before it had a model.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from tests.benchmarks.measuring import report
from tests.benchmarks.ours import OurTrainer, alone
from tests.benchmarks.peer_graphs import PeerGraph
from tests.benchmarks.shapes import IMAGE_TOKENS, TEXT, make_items, vision_language_model
from trainer.backbone_entries import BackboneEntry
from trainer.config import TrainerConfig
from trainer.memory import estimate_memory
from trainer.model.backbone import Backbone

CONTESTANTS = ("ours", "ours, checkpointed", "graph A", "graph B")
PROMPT, RESPONSE, PAIRS = 35, 128, 8
MIB = 1024**2


def config_of(*, frozen: bool, checkpointing: bool = False) -> TrainerConfig:
    """Two steps of eight pairs."""
    return TrainerConfig.model_validate(
        {
            "head": {"layers": 1},
            "data": {"pairs": 1000},
            "machine": {"gradient_checkpointing": checkpointing},
            "strategy": {
                "batch_pairs": PAIRS,
                "freeze": {"vision": frozen, "projector": frozen},
            },
        }
    )


def measure(contestant: str, *, frozen: bool) -> float:
    """Bytes at the peak of two steps in this process, the model included."""
    torch.set_num_threads(1)
    config = config_of(frozen=frozen, checkpointing=contestant.endswith("checkpointed"))
    gang = alone(config)
    backbone = vision_language_model()
    items = make_items(
        backbone,
        prompts=[PROMPT] * PAIRS,
        responses=[(RESPONSE, RESPONSE)] * PAIRS,
        pairs_per_image=1,
    )
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # start the high-water mark anew
    # The contestant trains a copy; this one stays, and is not counted.
    held = psutil.Process().memory_info().rss
    step: Callable[[], None]
    if contestant.startswith("ours"):
        step = OurTrainer(backbone, items, config, gang).step
    else:
        step = PeerGraph("A" if contestant == "graph A" else "B", backbone, items, config).step
    for _ in range(2):
        step()
    return _high_water_mark() - held


def estimate(contestant: str, *, frozen: bool) -> float:
    """Bytes `trainer.memory` expects of ours."""
    backbone = vision_language_model()
    config = config_of(frozen=frozen, checkpointing=contestant.endswith("checkpointed"))
    return estimate_memory(
        config,
        _entry(backbone),
        row_tokens=IMAGE_TOKENS + PROMPT + 2 * RESPONSE,
        image_tokens=IMAGE_TOKENS,
    ).total


def measured_elsewhere(contestant: str, *, frozen: bool) -> float:
    """`measure` in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--one", contestant]
    ran = subprocess.run(
        [*command, *(["--frozen"] if frozen else [])],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return float(json.loads(ran.stdout.splitlines()[-1]))


def _entry(backbone: Backbone) -> BackboneEntry:
    parts = {name: sum(w.numel() for w in part) for name, part in backbone.parts().items()}
    return BackboneEntry(
        family="benchmark",
        scale="tiny",
        kind="qwen-vl",
        hub_id=None,
        parameters=sum(parts.values()),
        vision_parameters=parts["vision"] + parts["projector"],
        hidden_size=backbone.hidden_size,
        layers=int(str(TEXT["num_hidden_layers"])),
    )


def _high_water_mark() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's peak memory")


def main() -> None:
    """Measure everybody, or one."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.memory")
    parser.add_argument("--one", choices=CONTESTANTS)
    parser.add_argument("--frozen", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    options = parser.parse_args()
    if options.one:
        sys.stdout.write(f"{json.dumps(measure(options.one, frozen=options.frozen))}\n")
        return
    rows: list[dict[str, Any]] = []
    for frozen in (False, True):
        peaks = {name: measured_elsewhere(name, frozen=frozen) for name in CONTESTANTS}
        for name, peak in peaks.items():
            ours = name.startswith("ours")
            rows.append(
                {
                    "vision": "frozen" if frozen else "trained",
                    "contestant": name if ours else f"{name} (re-created)",
                    "peak (MiB)": round(peak / MIB),
                    "times ours": peak / peaks["ours"],
                    "estimate (MiB)": round(estimate(name, frozen=frozen) / MIB) if ours else None,
                }
            )
    report("memory", rows, options.out)


if __name__ == "__main__":
    main()
