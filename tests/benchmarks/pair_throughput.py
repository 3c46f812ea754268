"""Pairs per second of process time, ours against the graphs of public trainers and against TRL.

    python -m tests.benchmarks.pair_throughput [--case fixed ratios realistic text] [--rounds 5]

Every step is whole: rows put together, forward, loss, backward, clipping, AdamW. Images are
processed and texts tokenized beforehand for all. Ratios are of the least disturbed turns.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.benchmarks.arithmetic import Costs
from tests.benchmarks.measuring import Timing, interleave, report
from tests.benchmarks.ours import OurTrainer, alone
from tests.benchmarks.peer_graphs import PeerGraph
from tests.benchmarks.shapes import IMAGE_TOKENS, language_model, make_items, vision_language_model
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.gangs.gang import Gang
from trainer.model.backbone import Backbone
from trainer.training.data_order import DataOrder

CASES = ("fixed", "ratios", "realistic", "text")
KEPT_SEPARATE = "ours, rows kept separate"
TOLERANCE = 1e-5
"""Between rewards of all contestants before training, in float32."""

Row = dict[str, Any]


def config_of(batch: int, *, frozen: bool = True, share: str = "auto") -> TrainerConfig:
    """A training that all contestants can do: one linear layer on the last token."""
    return TrainerConfig.model_validate(
        {
            "head": {"layers": 1},
            "data": {"pairs": batch * 1000},
            "machine": {"share_prompts": share},
            "strategy": {
                "batch_pairs": batch,
                "learning_rate": 1e-5,
                "schedule": "constant",
                "warmup": 0.0,
                "freeze": {"vision": frozen, "projector": frozen},
            },
        }
    )


class Case:
    """Contestants on the same items, and the table rows they end in."""

    def __init__(
        self, name: str, backbone: Backbone, items: list[PreferenceItem], config: TrainerConfig
    ) -> None:
        self.name = name
        self.backbone = backbone
        self.items = items
        self.config = config
        self.batch = config.strategy.batch_pairs
        self.steps = -(-len(items) // self.batch)
        self.turns: dict[str, Callable[[], float | None]] = {}
        self._rewards: dict[str, torch.Tensor] = {}
        self._limits: dict[str, float] = {}

    def enter(self, name: str, step: Callable[[], None], rewards: torch.Tensor) -> None:
        """Add a contestant; its turn is one pass over the items."""

        def turn() -> None:
            for _ in range(self.steps):
                step()

        self.turns[name] = turn
        self._rewards[name] = rewards

    def add_ours(self, gang: Gang, name: str = "ours", config: TrainerConfig | None = None) -> None:
        """Our trainer, with a setting of its own if asked for."""
        ours = OurTrainer(copy.deepcopy(self.backbone), self.items, config or self.config, gang)
        self.enter(name, ours.step, ours.rewards(self._first()))

    def add_peer(self, graph: Any) -> None:  # noqa: ANN401 -- "A" or "B"
        """A re-created graph."""
        peer = PeerGraph(graph, copy.deepcopy(self.backbone), self.items, self.config)
        self.enter(f"graph {graph} (re-created)", peer.step, peer.rewards_by_item(self._first()))

    def add_trl(self) -> None:
        """TRL itself."""
        from tests.benchmarks.trl_trainer import TrlTrainer

        peer = TrlTrainer(self.backbone, self.items, self.config, self.steps)
        self._rewards["TRL"] = peer.rewards(self._first())
        self.turns["TRL"] = peer.steps

    def run(self, rounds: int) -> list[Row]:
        """Check that all say the same, then let them take turns."""
        reference = self._rewards["ours"]
        worst = {
            name: float((rewards - reference).abs().max())
            for name, rewards in self._rewards.items()
        }
        assert max(worst.values()) < TOLERANCE, f"{self.name}: rewards differ: {worst}"
        timings = interleave(self.turns, rounds=rounds)
        limits = self._arithmetic()
        return [
            self._row(name, timing, timings["ours"], limits, worst)
            for name, timing in timings.items()
        ]

    def _row(
        self,
        name: str,
        timing: Timing,
        ours: Timing,
        limits: dict[str, float],
        worst: dict[str, float],
    ) -> Row:
        pairs = self.steps * self.batch
        return {
            "case": self.name,
            "contestant": name,
            "pairs/s": pairs / timing.minimum,
            "ours is faster by (least)": timing.minimum / ours.minimum,
            "(median)": timing.median / ours.median,
            "arithmetic limit": limits.get(name),
            "largest reward difference": worst[name],
        }

    def _arithmetic(self) -> dict[str, float]:
        image_tokens = IMAGE_TOKENS if self.backbone.takes_images else 0
        costs = Costs.of(self.backbone, image_tokens=image_tokens)
        frozen = self.config.strategy.freeze.vision
        examples = OurExamples(self.backbone, self.items)
        order = DataOrder(len(self.items), batch=self.batch, seed=self.config.seed)
        ours, apart, peers = 0.0, 0.0, {"A": 0.0, "B": 0.0}
        for step in range(self.steps):
            indices = order.step(step)
            rows = [examples.shapes[index] for index in indices]
            shown = [image.key for index in indices for image in self.items[index].images]
            ours += costs.ours(rows, images=len(set(shown)), frozen=frozen)
            apart += costs.ours(rows, images=len(set(shown)), frozen=frozen, shared=False)
            for graph in peers:
                peers[graph] += costs.peer(
                    rows, images=len(shown), frozen=frozen, language_head=graph == "A"
                )
        return {
            "graph A (re-created)": peers["A"] / ours,
            "graph B (re-created)": peers["B"] / ours,
            "TRL": peers["B"] / ours,
            KEPT_SEPARATE: apart / ours,
        }

    def _first(self) -> list[int]:
        return list(range(self.batch))


class OurExamples:
    """Lengths of the rows of some items."""

    def __init__(self, backbone: Backbone, items: Sequence[PreferenceItem]) -> None:
        from trainer.prompting.examples import Examples

        examples = Examples(
            items, backbone, "scalar", critiques=False, frozen_vision=False, chunks=[[]]
        )
        self.shapes = [example.tree.shape for example in examples.take(range(len(items)))]


def fixed(gang: Gang, rounds: int) -> list[Row]:
    """144 image, 35 prompt and 64 response tokens, 4 pairs: the shape of published comparisons."""
    backbone = vision_language_model()
    items = make_items(backbone, prompts=[35] * 8, responses=[(64, 64)] * 8, pairs_per_image=1)
    rows = []
    for frozen in (False, True):
        case = Case(
            f"fixed shape, vision {'frozen' if frozen else 'trained'}",
            backbone,
            items,
            config_of(4, frozen=frozen),
        )
        case.add_peer("A")
        case.add_peer("B")
        case.add_ours(gang)
        rows += case.run(rounds)
    return rows


def ratios(gang: Gang, rounds: int) -> list[Row]:
    """Text pairs from all response to all prompt."""
    backbone = language_model()
    rows = []
    for prompt, response in ((16, 384), (64, 256), (128, 128), (256, 64), (512, 32)):
        items = make_items(
            backbone,
            prompts=[prompt] * 8,
            responses=[(response, response)] * 8,
            pairs_per_image=None,
        )
        case = Case(f"{prompt} prompt + {response} response", backbone, items, config_of(4))
        case.add_peer("B")
        case.add_ours(gang)
        case.add_ours(gang, KEPT_SEPARATE, config_of(4, share="never"))
        rows += case.run(rounds)
    return rows


def realistic(gang: Gang, rounds: int) -> list[Row]:
    """Log-normal lengths, three pairs per image, 16 pairs a step, in random order."""
    backbone = vision_language_model()
    prompts, responses = spread(48, prompt=40, response=100, seed=1)
    items = make_items(backbone, prompts=prompts, responses=responses, pairs_per_image=3)
    rows = []
    for frozen in (False, True):
        case = Case(
            f"realistic, vision {'frozen' if frozen else 'trained'}",
            backbone,
            items,
            config_of(16, frozen=frozen),
        )
        case.add_peer("B")
        case.add_ours(gang)
        rows += case.run(rounds)
    return rows


def text(gang: Gang, rounds: int) -> list[Row]:
    """Text pairs of log-normal lengths, 16 pairs a step, against TRL itself."""
    backbone = language_model()
    prompts, responses = spread(64, prompt=80, response=120, seed=2)
    items = make_items(backbone, prompts=prompts, responses=responses, pairs_per_image=None)
    case = Case("text pairs", backbone, items, config_of(16))
    case.add_trl()
    case.add_peer("B")
    case.add_ours(gang)
    return case.run(rounds)


def spread(
    count: int, *, prompt: int, response: int, seed: int
) -> tuple[list[int], list[tuple[int, int]]]:
    """Log-normal lengths (sigma 0.6), as in public preference sets, cut at 16 and 8 medians."""
    rng = np.random.default_rng(seed)

    def draw(median: int, size: tuple[int, ...]) -> np.ndarray:
        lengths = median * np.exp(0.6 * rng.standard_normal(size))
        return np.asarray(np.clip(lengths, 16, 8 * median), dtype=int)

    answers = draw(response, (count, 2))
    return draw(prompt, (count,)).tolist(), [(int(a), int(b)) for a, b in answers]


def main() -> None:
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.pair_throughput")
    parser.add_argument("--case", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    options = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(options.threads)
    gang = alone(config_of(4))
    rows: list[Row] = []
    for name in options.case:
        rows += {"fixed": fixed, "ratios": ratios, "realistic": realistic, "text": text}[name](
            gang, options.rounds
        )
    report("pair_throughput", rows, options.out)


if __name__ == "__main__":
    main()
