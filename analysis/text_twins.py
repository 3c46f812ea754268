"""Arms trained on text alone: what pictures in the training data bring, on items with a picture.

Invariant: which sources have pictures is seen in the score tables; an arm is a text-only twin only
when every source it trains on was scored and none of its items had one.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.outcomes import Outcomes, contrasts
from analysis.statistics.intervals import Accuracy, arm_accuracy
from analysis.statistics.paired import Comparison
from analysis.tables import SweepTables
from sweep.records.rows import Json
from trainer.config import DataConfig

TEXT = "text"
"""The modality of an item without a picture."""
_MIX = ("weights", "add_in", "leave_out")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTwin:
    """One arm trained on text alone, on the pairs that have a picture."""

    arm: str
    pairs: int
    accuracy: Accuracy
    basis: str
    """What the figures of all twins and of the baseline rest on, in words."""
    gap: Comparison | None
    """The baseline minus this arm; absent when they share no seed."""


def text_twins(tables: SweepTables, outcomes: Outcomes, baseline: str | None) -> list[TextTwin]:
    """Twins of a baseline that is trained on pictures too; none where there is no such arm."""
    if baseline is None or not outcomes.arms:
        return []
    pictured = (outcomes.pairs["modality"] != TEXT).to_numpy()
    with_pictures = set(outcomes.pairs["source"][pictured])
    text_only = set(outcomes.pairs["source"]) - with_pictures
    trained = _trained_on(tables)
    if not pictured.any() or not trained.get(baseline, set()) & with_pictures:
        return []
    shown = outcomes.where(pictured)
    arms = [arm for arm in shown.arms if trained.get(arm) and trained[arm] <= text_only]
    basis = shown.only([baseline, *arms]).basis
    gaps = contrasts(shown, [((baseline, arm),) for arm in arms])
    return [
        TextTwin(
            arm=arm,
            pairs=len(shown.pairs),
            accuracy=arm_accuracy(shown.of(arm), shown.codes),
            basis=basis,
            gap=gap,
        )
        for arm, gap in zip(arms, gaps, strict=True)
    ]


def _trained_on(tables: SweepTables) -> dict[str, set[str]]:
    """Sources of every arm's training data; all its seeds have the same."""
    views = {view.arm: view for view in tables.succeeded()}
    return {arm: _mixed(view.config_json.get("data", {})) for arm, view in views.items()}


def _mixed(data: Json) -> set[str]:
    # Alone: what else was written, perhaps by another version, does not matter here.
    return set(DataConfig.model_validate({key: data[key] for key in _MIX if key in data}).mix)
