"""Peak memory of training steps against the estimate of it, and against graphs A and B.

    python -m tests.benchmarks.memory

Contestants have processes of their own; their peak is what the process reached in two steps above
what it held before it had a model. Families are measured by the tensors a step holds.
"""

from __future__ import annotations

import argparse
import copy
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
from tests.benchmarks.shapes import IMAGE_TOKENS, make_items, vision_language_model
from tests.trainer.peaks import peak_bytes
from tests.trainer.tiny_models import KINDS, VISION_KINDS, Shape, tiny_backbone
from trainer.backbone_entries import BackboneEntry
from trainer.catalog import MODEL_TYPES
from trainer.config import DataConfig, TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import training_items
from trainer.memory import MemoryEstimate, estimate_memory
from trainer.model.backbone import Backbone
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples
from trainer.strategy_config import Precision

CONTESTANTS = ("ours", "ours, checkpointed", "graph A", "graph B")
PROMPT, RESPONSE, PAIRS = 35, 128, 8
MIB = 1024**2
WIDE = Shape(hidden_size=128, mlp_size=384, layers=4)
"""Of families that are not shipped; MLPs in the proportion of real models."""


def config_of(
    *, frozen: bool, checkpointing: bool = False, precision: Precision = "fp32"
) -> TrainerConfig:
    """Steps of eight pairs."""
    return TrainerConfig.model_validate(
        {
            "head": {"layers": 1},
            "data": {"pairs": 1000},
            "machine": {"gradient_checkpointing": checkpointing},
            "strategy": {
                "batch_pairs": PAIRS,
                "precision": precision,
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
    items = items_of_a_step(backbone)
    held = settled_memory()
    # The contestant trains a copy; this one stays, and is not counted.
    trained = copy.deepcopy(backbone)
    step: Callable[[], None]
    if contestant.startswith("ours"):
        step = OurTrainer(trained, items, config, gang).step
    else:
        step = PeerGraph("A" if contestant == "graph A" else "B", trained, items, config).step
    for _ in range(2):
        step()
    return high_water_mark() - held


def items_of_a_step(backbone: Backbone) -> list[PreferenceItem]:
    """Eight pairs with an image each."""
    return make_items(
        backbone,
        prompts=[PROMPT] * PAIRS,
        responses=[(RESPONSE, RESPONSE)] * PAIRS,
        pairs_per_image=1,
    )


def estimate(contestant: str, *, frozen: bool) -> float:
    """Bytes `trainer.memory` expects of ours."""
    config = config_of(frozen=frozen, checkpointing=contestant.endswith("checkpointed"))
    return estimated(config).total


def estimated(config: TrainerConfig) -> MemoryEstimate:
    """What `trainer.memory` expects of a process that takes such steps."""
    return estimate_memory(
        config,
        entry_of(vision_language_model()),
        row_tokens=IMAGE_TOKENS + PROMPT + 2 * RESPONSE,
        image_tokens=IMAGE_TOKENS,
        accelerated=False,
    )


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


def peak_and_estimate(
    kind: str, *, frozen: bool, checkpointing: bool, precision: Precision
) -> tuple[float, float]:
    """Bytes a step of a tiny model holds at its peak beside weights and moments; the estimate's."""
    backbone = tiny_backbone(kind, shape=WIDE)
    config = config_of(frozen=frozen, checkpointing=checkpointing, precision=precision)
    model = RewardModel(backbone, config).train()
    source = "scenes" if kind in VISION_KINDS else "text"
    items = training_items(DataConfig(pairs=PAIRS, weights={source: 1.0}))
    examples = Examples(
        items,
        backbone,
        "scalar",
        critiques=False,
        frozen_vision=frozen,
        chunks=[range(PAIRS)],
    )
    batch = examples.batch(range(PAIRS))
    peak = peak_bytes(lambda: model(batch)["scores"].sum().backward())
    images = [image for item in items for image in examples.images.shapes(item)]
    estimated = estimate_memory(
        config,
        entry_of(backbone),
        row_tokens=sum(example.tree.tokens for example in batch.examples) // PAIRS,
        image_tokens=sum(image.tokens for image in images) // PAIRS,
    )
    return peak, estimated.total - estimated.weights - estimated.optimizer


def entry_of(backbone: Backbone) -> BackboneEntry:
    """Figures of a model as the catalog has them of others."""
    parts = {name: sum(w.numel() for w in part) for name, part in backbone.parts().items()}
    config = backbone.module.config
    text = config.get_text_config()
    return BackboneEntry(
        family="benchmark",
        scale="tiny",
        kind=MODEL_TYPES.get(config.model_type, "text"),
        hub_id=None,
        parameters=sum(parts.values()),
        vision_parameters=parts["vision"] + parts["projector"],
        hidden_size=text.hidden_size,
        layers=text.num_hidden_layers,
        mlp_size=text.intermediate_size,
    )


def settled_memory() -> float:
    """Bytes this process holds, what it can give back given back; its mark starts anew."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return float(psutil.Process().memory_info().rss)


def high_water_mark() -> float:
    """Bytes this process has held at most since its mark was started."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's peak memory")


def _families() -> list[dict[str, Any]]:
    rows = []
    for kind in KINDS:
        for frozen in (False, True) if kind in VISION_KINDS else (True,):
            ratios = {}
            for checkpointing in (False, True):
                for precision in ("fp32", "bf16"):
                    peak, estimated = peak_and_estimate(
                        kind, frozen=frozen, checkpointing=checkpointing, precision=precision
                    )
                    how = f"{precision}, checkpointed" if checkpointing else precision
                    ratios[how] = estimated / peak
            vision = "frozen" if frozen else "trained"
            rows.append(
                {"family": kind, "vision": vision if kind in VISION_KINDS else "", **ratios}
            )
    return rows


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
    report("memory_families", _families(), options.out)


if __name__ == "__main__":
    main()
