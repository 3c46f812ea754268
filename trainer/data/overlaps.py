"""Items that give one another away: the same image, or without one the same prompt.

Compared by content, whatever files, groups and names they came under. Invariant: what is trained on
holds no item of a benchmark it was configured with; what a test benchmark has in common with what a
model was chosen by, or was trained on before the benchmark came, is counted and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from infra.errors import DataError, MissingError
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.data.mixture import items_by_benchmark, training_items
from trainer.evaluation.overlap_metrics import SHARED_WITH_TRAINING, SHARED_WITH_VALIDATION
from trainer.evaluation_config import EvaluationConfig
from trainer.identity import canonical_json


def check_held_out(training: Iterable[PreferenceItem], held_out: Sequence[PreferenceItem]) -> None:
    """Make sure that no held-out image, and no prompt without an image, is trained on.

    One source never breaks this; two files that overlap can.

    Raises:
        DataError: Saying how many items overlap, and which is the first.
    """
    leaked = shared_items(training, held_out)
    if leaked:
        raise DataError(
            f"{len(leaked)} held-out items share an image or a prompt with training items, the "
            f"first is {leaked[0].item_id}; give the overlapping files one common source, or name "
            "the benchmark's in data.decontaminate.against"
        )


def shared_items(
    seen: Iterable[PreferenceItem], items: Sequence[PreferenceItem]
) -> list[PreferenceItem]:
    """Which of the items hold an image, or without one a prompt, that seen items hold too.

    What was seen is looked through once, and only names that the items expose are remembered.
    """
    kept = {key for item in items for key in _exposed(item)}
    found = {key for item in seen for key in _exposed(item) if key in kept}
    return [item for item in items if not found.isdisjoint(_exposed(item))]


def shared_with_validation(
    items: Mapping[str, Sequence[PreferenceItem]],
    evaluation: EvaluationConfig,
    chosen_by: Iterable[PreferenceItem],
) -> dict[str, dict[str, float]]:
    """Of every test benchmark, how many items validation items give away, as a metric.

    Args:
        items: By benchmark; text-only twins have none of their own.
        evaluation: Defines these benchmarks.
        chosen_by: Items of the validation benchmarks.
    """
    seen = list(chosen_by)
    return {
        name: {SHARED_WITH_VALIDATION: float(len(shared_items(seen, each)))}
        for name, each in items.items()
        if evaluation.benchmarks[name].split == "test" and not evaluation.is_twin(name)
    }


def shared_with_training(
    items: Mapping[str, Sequence[PreferenceItem]],
    evaluation: EvaluationConfig,
    training: Iterable[PreferenceItem],
) -> dict[str, dict[str, float]]:
    """Of every benchmark that came after training, how many items that gives away, as a metric."""
    own = {name: each for name, each in items.items() if not evaluation.is_twin(name)}
    found = {
        item.item_id
        for item in shared_items(training, [item for each in own.values() for item in each])
    }
    return {
        name: {SHARED_WITH_TRAINING: float(sum(item.item_id in found for item in each))}
        for name, each in own.items()
    }


def validation_items(
    items: Mapping[str, Sequence[PreferenceItem]], evaluation: EvaluationConfig
) -> list[PreferenceItem]:
    """Items of the validation benchmarks among these."""
    return [
        item
        for name, each in items.items()
        if evaluation.benchmarks[name].split == "validation" and not evaluation.is_twin(name)
        for item in each
    ]


def shared_with_what_was_seen(
    config: TrainerConfig,
    evaluation: EvaluationConfig,
    items: Mapping[str, Sequence[PreferenceItem]],
) -> dict[str, dict[str, float]]:
    """How much of benchmarks that came after training was trained on or chosen by, as metrics.

    Args:
        config: The training's.
        evaluation: Defines the benchmarks.
        items: By benchmark.

    Returns:
        By benchmark; no figure of data that are not here, as when only a cluster sees them.
    """
    own = config.evaluation
    chosen = {name: each for name, each in own.benchmarks.items() if each.split == "validation"}
    found: dict[str, dict[str, float]] = {}
    try:
        found = shared_with_training(items, evaluation, training_items(config.data))
        choosing = EvaluationConfig(benchmarks=chosen)
        seen = validation_items(items_by_benchmark(config.data, choosing), choosing)
    except (DataError, MissingError):
        return found
    for name, metric in shared_with_validation(items, evaluation, seen).items():
        found[name] |= metric
    return found


class SeenOverlaps:
    """`shared_with_what_was_seen`, counted once for trainings that saw the same data.

    Lives as long as one command: what files hold is not looked at again meanwhile.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, dict[str, float]]] = {}

    def of(
        self,
        config: TrainerConfig,
        evaluation: EvaluationConfig,
        items: Mapping[str, Sequence[PreferenceItem]],
    ) -> Mapping[str, Mapping[str, float]]:
        """As `shared_with_what_was_seen`; the items must be those the benchmarks name."""
        asked = [config.data, config.evaluation, evaluation]
        key = canonical_json([each.model_dump(mode="json") for each in asked])
        if key not in self._known:
            self._known[key] = shared_with_what_was_seen(config, evaluation, items)
        return self._known[key]


def _exposed(item: PreferenceItem) -> list[str]:
    return [image.key for image in item.images] or [f"prompt {item.prompt.strip()}"]
