"""Small trials for tests: a random backbone with short rows, and a reporter that remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from trainer.config import DataConfig, TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import training_items
from trainer.model.backbone import Backbone
from trainer.pretraining.architectures import random_backbone
from trainer.pretraining.tokenizer import train_tokenizer
from trainer.reporting import Answer, TrialReport


def short_backbone(*, seed: int = 0) -> Backbone:
    """Random weights, and a tokenizer that knows the words of the built-in sources."""
    items = training_items(DataConfig(pairs=300, weights={"scenes": 1, "text": 1}))
    texts = [text for item in items for text in (item.prompt, *spoken(item))]
    tokenizer = train_tokenizer(texts, vocabulary_size=512, model_type="qwen2_5_vl")
    return random_backbone("tiny-qwen2.5-vl", "xs", seed=seed, tokenizer=tokenizer)


def spoken(item: PreferenceItem) -> list[str]:
    """Every text of an item but its prompt."""
    return [text for response in item.responses for text in (response.text, response.critique)]


def small_config(folder: Path, **sections: Any) -> TrainerConfig:  # noqa: ANN401 -- any settings
    """A training of four steps on 32 scenes; sections are merged into it."""
    values: dict[str, Any] = {
        "backbone": {"path": str(folder)},
        "data": {"pairs": 32},
        "strategy": {"batch_pairs": 8, "learning_rate": 1e-3},
        "evaluation": {"benchmarks": {"validation": {"parts": {"scenes": 10}}}},
    }
    for name, section in sections.items():
        merged = {**values.get(name, {}), **section} if isinstance(section, dict) else section
        values[name] = merged
    return TrainerConfig.model_validate(values)


class Notebook:
    """A reporter that keeps every report, and stops when told to."""

    def __init__(self, stop: Callable[[TrialReport], bool] = lambda _: False) -> None:
        self.reports: list[TrialReport] = []
        self._stop = stop

    def report(self, report: TrialReport) -> Answer:
        self.reports.append(report)
        return "stop" if self._stop(report) else "continue"

    def metric(self, name: str, steps: Sequence[int] | None = None) -> list[float]:
        """Values of one metric, in order."""
        return [
            report.metrics[name]
            for report in self.reports
            if name in report.metrics and (steps is None or report.step in steps)
        ]
