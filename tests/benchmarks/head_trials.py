"""Five head configurations on one frozen backbone, as whole trials: states shared against not.

    python -m tests.benchmarks.head_trials [--rounds 3]

Process time of `train_reward_model` in this process: data, epochs, evaluation, the saved model.
Imports and loading the backbone's weights are in both; with shared states the first trial
computes them and the others read them from the object store.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from infra.object_store import LocalStore
from tests.benchmarks.measuring import report
from tests.benchmarks.ours import alone
from trainer.config import TrainerConfig
from trainer.entrypoint import train_reward_model
from trainer.pretraining.architectures import random_backbone
from trainer.pretraining.tokenizer import train_tokenizer
from trainer.reporting import Answer, TrialReport

HEADS: tuple[dict[str, Any], ...] = (
    {"layers": 1},
    {"layers": 2, "activation": "tanh"},
    {"layers": 2, "activation": "silu"},
    {"layers": 3, "activation": "silu"},
    {"layers": 5, "activation": "gelu"},
)
PAIRS, EPOCHS, VALIDATION = 512, 8, 128


class _Deaf:
    def report(self, report: TrialReport) -> Answer:
        del report
        return "continue"


def config_of(folder: Path, head: dict[str, Any], *, reuse: bool) -> TrainerConfig:
    """One trial that trains its head alone."""
    return TrainerConfig.model_validate(
        {
            "head": head,
            "backbone": {"path": str(folder)},
            "data": {"pairs": PAIRS},
            "machine": {"reuse_states": reuse},
            "strategy": {
                "batch_pairs": 64,
                "epochs": EPOCHS,
                "freeze": {"vision": True, "projector": True, "language_model": True},
            },
            "evaluation": {"benchmarks": {"validation": {"parts": {"scenes": VALIDATION}}}},
        }
    )


def run_trials(folder: Path, *, reuse: bool) -> tuple[list[float], list[float]]:
    """Process seconds and final accuracy of each trial, over one object store."""
    seconds, accuracies = [], []
    with tempfile.TemporaryDirectory(prefix="rmsweep-benchmark-") as name:
        store = LocalStore(Path(name))
        for number, head in enumerate(HEADS):
            started = time.process_time()
            outcome = train_reward_model(
                config_of(folder, head, reuse=reuse),
                store=store,
                identity=f"trial-{number}",
                reporter=_Deaf(),
            )
            seconds.append(time.process_time() - started)
            accuracies.append(outcome.metrics["eval/validation/accuracy"])
    return seconds, accuracies


def main() -> None:
    """Run the trials both ways, in turns."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.head_trials")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="rmsweep-benchmark-") as name:
        folder = Path(name)
        tokenizer = train_tokenizer((), vocabulary_size=0, model_type="qwen2_5_vl")
        random_backbone("tiny-qwen2.5-vl", "s", tokenizer=tokenizer).save(folder)
        alone(config_of(folder, HEADS[0], reuse=False))
        best: dict[bool, list[float]] = {}
        told: dict[bool, list[float]] = {}
        for _ in range(options.rounds):
            for reuse in (False, True):
                seconds, told[reuse] = run_trials(folder, reuse=reuse)
                best[reuse] = [
                    min(pair) for pair in zip(best.get(reuse, seconds), seconds, strict=True)
                ]
    rows = [
        {
            "head": " ".join(str(value) for value in head.values()),
            "not shared (s)": apart,
            "shared (s)": shared,
            "ratio": apart / shared,
            "accuracy, not shared": told[False][number],
            "accuracy, shared": told[True][number],
        }
        for number, (head, apart, shared) in enumerate(
            zip(HEADS, best[False], best[True], strict=True)
        )
    ]
    report("head_trials", rows, options.out)


if __name__ == "__main__":
    main()
