"""Pairs a second, utilisation and peak memory on an accelerator, at real models' widths.

    python -m tests.benchmarks.gpu [--shape 3b 7b] [--frozen] [--steps 12]
    python -m tests.benchmarks.gpu --device cpu --shape tiny   # the same code, to see that it runs

Random weights in float32 under bf16 autocast, AdamW: 16 bytes a trained weight, so 7b is cut to 14
of its 28 layers unless `--layers` says otherwise. Every contestant has a process of its own; one
that runs out of memory says so in its row. A step is whole, as in `pair_throughput`.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.arithmetic import Costs
from tests.benchmarks.gpu_shapes import LAYERS, SHAPES, peak_of
from tests.benchmarks.measuring import report, seconds_on
from tests.benchmarks.ours import OurTrainer, alone
from tests.benchmarks.pair_throughput import OurExamples, spread
from tests.benchmarks.peer_graphs import PeerGraph
from tests.benchmarks.shapes import IMAGE_TOKENS, language_model, make_items, vision_language_model
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.model.backbone import Backbone
from trainer.training.data_order import DataOrder

CASES = {
    "images": ("graph A", "graph B", "ours"),
    "text": ("graph B", "TRL", "ours"),
}
"""Pairs about images, three to an image, and pairs of texts; who takes part in each."""

GIB = 1024**3
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One contestant's measurement."""

    contestant: str
    case: str
    shape: str
    device: str
    frozen: bool
    layers: int | None
    batch: int
    tokens: int
    steps: int
    warm_up: int

    def config(self) -> TrainerConfig:
        """A training all contestants can do; the token budget is ours alone."""
        return TrainerConfig.model_validate(
            {
                "head": {"layers": 1},
                "data": {"pairs": self.batch * 1000},
                "machine": {"micro_batch_tokens": self.tokens},
                "strategy": {
                    "batch_pairs": self.batch,
                    "learning_rate": 1e-6,
                    "schedule": "constant",
                    "warmup": 0.0,
                    "precision": "bf16",
                    "freeze": {"vision": self.frozen, "projector": self.frozen},
                },
            }
        )


def measure(task: Task) -> Row:
    """One contestant in this process: seconds, operations, memory, first rewards."""
    device = torch.device(task.device)
    config = task.config()
    shape = SHAPES[task.shape].cut_to(task.layers)
    text = task.case == "text"
    backbone = (language_model if text else vision_language_model)(shape, device=task.device)
    prompts, responses = spread(8 * task.batch, prompt=80, response=160, seed=3)
    items = make_items(
        backbone, prompts=prompts, responses=responses, pairs_per_image=None if text else 3
    )
    gang = alone(config)
    operations = _operations(task, backbone, items, config)
    first = list(range(task.batch))
    if task.contestant == "TRL":
        from tests.benchmarks.trl_trainer import TrlTrainer

        trl = TrlTrainer(backbone, items, config, task.steps, device)
        rewards = trl.rewards(first)
        trl.steps()  # warms up
        seconds = trl.steps()
    elif task.contestant == "ours":
        ours = OurTrainer(backbone, items, config, gang)
        rewards = ours.rewards(first)
        seconds = _timed(ours.step, task, device)
    else:
        graph: Any = task.contestant.removeprefix("graph ")
        peer = PeerGraph(graph, backbone, items, config, device)
        rewards = peer.rewards_by_item(first)
        seconds = _timed(peer.step, task, device)
    peak = _peak_bytes(device)
    return {"seconds": seconds, **operations, "peak": peak, "rewards": rewards.tolist()}


def _operations(
    task: Task, backbone: Backbone, items: list[PreferenceItem], config: TrainerConfig
) -> dict[str, float]:
    """Of the timed steps: `least`, which nobody can avoid, and `own`, of the contestant's graph."""
    costs = Costs.of(backbone, image_tokens=IMAGE_TOKENS if backbone.takes_images else 0)
    shapes = OurExamples(backbone, items).shapes
    order = DataOrder(len(items), batch=task.batch, seed=config.seed)
    least = own = 0.0
    for step in range(task.warm_up, task.warm_up + task.steps):
        indices = order.step(step)
        rows = [shapes[index] for index in indices]
        shown = [image.key for index in indices for image in items[index].images]
        shared = costs.ours(rows, images=len(set(shown)), frozen=task.frozen)
        head = task.contestant == "graph A"
        apart = costs.peer(rows, images=len(shown), frozen=task.frozen, language_head=head)
        least += shared
        own += shared if task.contestant == "ours" else apart
    return {"least": least, "own": own}


def _timed(step: Callable[[], None], task: Task, device: torch.device) -> float:
    for _ in range(task.warm_up):
        step()
    began = seconds_on(device)
    for _ in range(task.steps):
        step()
    return seconds_on(device) - began


def _peak_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return float(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's peak memory")


def measured_apart(task: Task) -> Row | None:
    """`measure` in a process of its own; none where that ran out of memory.

    Raises:
        RuntimeError: If it ended in another error, with its last words.
    """
    unseen = {"CUDA_VISIBLE_DEVICES": ""} if task.device == "cpu" else {}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.gpu", "--one", json.dumps(asdict(task))],
        capture_output=True,
        text=True,
        check=False,
        env={"TOKENIZERS_PARALLELISM": "false", **os.environ, **unseen},
    )
    if ran.returncode == 0:
        found: Row = json.loads(ran.stdout.splitlines()[-1])
        return found
    if "OutOfMemoryError" in ran.stderr or "out of memory" in ran.stderr:
        return None
    raise RuntimeError(f"{task.contestant} failed:\n{ran.stderr[-2000:]}")


def rows_of(tasks: list[Task], peak_tflops: float | None) -> list[Row]:
    """The table of one case: every contestant against ours, which comes last."""
    found = {task.contestant: measured_apart(task) for task in tasks}
    ours = found["ours"]
    rows = []
    for task in tasks:
        held = found[task.contestant]
        row: Row = {
            "shape": task.shape if task.layers is None else f"{task.shape}, {task.layers} layers",
            "case": task.case,
            "vision": "" if task.case == "text" else "frozen" if task.frozen else "trained",
            "contestant": f"{task.contestant} (re-created)" * task.contestant.startswith("graph")
            or task.contestant,
        }
        if held is None:
            rows.append({**row, "note": "out of memory"})
            continue
        row["pairs/s"] = task.steps * task.batch / held["seconds"]
        if ours is not None:
            row["ours is faster by"] = held["seconds"] / ours["seconds"]
            row["arithmetic limit"] = held["own"] / ours["own"]
        if peak_tflops is not None:
            possible = held["seconds"] * peak_tflops * 1e12
            row["MFU"] = held["own"] / possible
            row["useful MFU"] = held["least"] / possible
        row["peak GiB"] = held["peak"] / GIB
        if ours is not None:
            both = zip(held["rewards"], ours["rewards"], strict=True)
            row["largest reward difference"] = max(abs(one - other) for one, other in both)
        rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everybody, or one."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu")
    parser.add_argument("--shape", nargs="+", choices=SHAPES, default=("3b", "7b"))
    parser.add_argument("--case", nargs="+", choices=CASES, default=tuple(CASES))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--frozen", action="store_true", help="keep the vision tower as it is")
    parser.add_argument("--layers", type=int, help="language layers, of all shapes")
    parser.add_argument("--batch", type=int, default=16, help="pairs a step")
    parser.add_argument("--tokens", type=int, default=16_384, help="our tokens at once")
    parser.add_argument("--steps", type=int, default=12, help="timed steps")
    parser.add_argument("--warm-up", type=int, default=6, help="steps before them")
    parser.add_argument("--peak-tflops", type=float, help="dense bf16, where the device is unknown")
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        found = measure(Task(**json.loads(options.one)))
        sys.stdout.write(f"{json.dumps(found)}\n")
        return
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.stderr.write(
            "gpu benchmark: expected a CUDA device, found none; run it where there is one, or with "
            "--device cpu --shape tiny to see that it runs\n"
        )
        raise SystemExit(2)
    peak = options.peak_tflops
    if peak is None and options.device == "cuda":
        peak = peak_of(torch.cuda.get_device_name())
    absent = () if importlib.util.find_spec("trl") else ("TRL",)
    for name in absent:
        sys.stdout.write(f"{name} is not installed here and gets no row; pip install trl\n")
    rows = []
    for shape, case in itertools.product(options.shape, options.case):
        tasks = [
            Task(
                contestant=contestant,
                case=case,
                shape=shape,
                device=options.device,
                frozen=options.frozen,
                layers=options.layers or LAYERS.get(shape),
                batch=options.batch,
                tokens=options.tokens,
                steps=options.steps,
                warm_up=options.warm_up,
            )
            for contestant in CASES[case]
            if contestant not in absent
        ]
        rows += rows_of(tasks, peak)
    report("gpu", rows, options.out, peak_tflops=peak, not_installed=absent)


if __name__ == "__main__":
    main()
