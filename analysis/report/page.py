"""What a report says of one sweep, gathered once: every section is drawn from a `SweepPage`.

Invariant: a page can be had at any time - of a sweep that runs, that failed whole, or that has one
arm - and holds no name that is too long to be shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from markupsafe import Markup

from analysis.ablation import Ablation, ablate
from analysis.report import words
from analysis.report.plots import SERIES, Scale, accuracy_scale, effect_scale, learning_curves
from analysis.short_names import with_short_names
from analysis.slices import By, ImageCheck, SliceTable, image_check, slice_tables
from analysis.statistics.paired import Convention
from analysis.tables import SweepTables
from analysis.text_twins import TextTwin, text_twins
from sweep.records.rows import TrialView

SLICED_ARMS = 7
"""More arms than this do not fit a page's width side by side."""
SLICED_BY: tuple[By, ...] = ("category", "source", "modality", "length", "margin")
DRAWN_ARMS = 60
"""Arms whose learning curves are drawn, the best on validation."""
CHECKED_ARMS = 60
"""Arms whose dependence on the images is shown, the best on validation."""
LONGEST_FILE = 60_000
"""Letters of a sweep file that a page quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Trials that failed alike."""

    arm: str
    kind: str
    message: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRow:
    """One axis: what the baseline has there, and what was tried instead."""

    axis: str
    baseline: str
    tried: tuple[str, ...]
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPage:
    """All that is said of one sweep."""

    tables: SweepTables
    ablation: Ablation
    answer: str
    axis_scales: Mapping[str, Scale]
    arm_scale: Scale
    curves: Markup | None
    slices: tuple[SliceTable, ...]
    sliced_arms: tuple[str, ...]
    images: ImageCheck | None
    twins: tuple[TextTwin, ...]
    failures: tuple[Failure, ...]
    unknowns: tuple[str, ...]
    recipe: tuple[RecipeRow, ...]
    settings: tuple[tuple[str, str], ...]
    """The baseline's trainer config, dotted."""
    spec_yaml: str
    usd: float | None
    """What this sweep paid for, where the price of a device-hour is known."""

    @property
    def basis(self) -> str:
        """What figures of arms rest on, in words."""
        return self.ablation.outcomes.basis

    @property
    def anchor(self) -> str:
        """Ends the ids of this sweep's elements, which must be unique on a page of many."""
        return anchor_of(self.tables.sweep_id)


def anchor_of(sweep_id: str) -> str:
    """As `SweepPage.anchor`, of a sweep by id."""
    return hashlib.sha256(sweep_id.encode()).hexdigest()[:6]


def build_page(
    tables: SweepTables, benchmark: str | None = None, *, convention: Convention = "ties are wrong"
) -> SweepPage:
    """All that is said of one sweep, on one of its test benchmarks.

    Args:
        tables: The sweep.
        benchmark: A test benchmark; the first one the sweep has when absent.
        convention: How tied scores count.

    Raises:
        InputError: If the benchmark's items are validation items.
    """
    tables = with_short_names(tables)
    ablation = ablate(tables, benchmark, convention=convention)
    shown = prominent_arms(ablation)
    monitored = tables.selected_on or "validation"
    svg = learning_curves(
        tables.curves[tables.curves["arm"].isin(shown[:DRAWN_ARMS])],
        monitored=f"eval/{monitored}/accuracy",
        highlighted=shown[:SERIES],
        prefix=f"{tables.sweep_id}-",
    )
    usd_per_hour = tables.sweep.spec_json.get("budget", {}).get("usd_per_gpu_hour")
    # Only what is shown is computed and corrected for; it was chosen on validation items.
    sliced = ablation.outcomes.only(shown[:SLICED_ARMS])
    return SweepPage(
        tables=tables,
        ablation=ablation,
        answer=words.answer(tables, ablation),
        axis_scales={axis.axis: effect_scale(axis.levels) for axis in ablation.axes},
        arm_scale=accuracy_scale(ablation.arms),
        curves=Markup(svg) if svg else None,  # drawn, and escaped, by matplotlib
        slices=slice_tables(sliced, ablation.baseline, SLICED_BY),
        sliced_arms=tuple(shown[:SLICED_ARMS]),
        images=image_check(
            tables, ablation.outcomes.only(shown[:CHECKED_ARMS]), convention=convention
        ),
        twins=tuple(text_twins(tables, ablation.outcomes, ablation.baseline)),
        failures=_failures(tables.trial_views),
        unknowns=tuple(words.unknowns(tables, ablation)),
        recipe=_recipe(tables, ablation),
        settings=_settings(tables),
        spec_yaml=_spec_yaml(tables.sweep.spec_json),
        usd=None if usd_per_hour is None else tables.spent.device_seconds / 3600 * usd_per_hour,
    )


def prominent_arms(ablation: Ablation) -> list[str]:
    """Baseline, best, then the others by objective."""
    names = [ablation.baseline, ablation.best, *ablation.ranked]
    names += [arm.arm for arm in ablation.arms]
    return [name for name in dict.fromkeys(names) if name is not None]


def _failures(views: Sequence[TrialView]) -> tuple[Failure, ...]:
    """Failed trials, those of an arm with the same last line together."""
    alike: dict[tuple[str, str, str], list[int]] = {}
    for view in views:
        if view.error_kind is None:
            continue
        lines = (view.error_message or "").strip().splitlines()
        # A traceback says what happened on its last line.
        said = next((line for line in reversed(lines) if line.strip()), "no message")
        alike.setdefault((view.arm, view.error_kind, said[:300]), []).append(view.seed)
    return tuple(
        Failure(arm=arm, kind=kind, message=message, seeds=tuple(seeds))
        for (arm, kind, message), seeds in alike.items()
    )


def _recipe(tables: SweepTables, ablation: Ablation) -> tuple[RecipeRow, ...]:
    levels: dict[str, dict[str, None]] = {}
    for row in tables.arm_rows:
        for axis, level in row.point.items():
            levels.setdefault(axis, {})[level] = None
    return tuple(
        RecipeRow(
            axis=axis.axis,
            baseline=axis.reference,
            tried=tuple(level for level in levels.get(axis.axis, ()) if level != axis.reference),
            question=axis.question,
        )
        for axis in ablation.axes
    )


def _settings(tables: SweepTables) -> tuple[tuple[str, str], ...]:
    home = next((view for view in tables.trial_views if view.arm == tables.baseline), None)
    if home is None:
        return ()
    return tuple(_flat({k: v for k, v in home.config_json.items() if k != "seed"}))


def _flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{key}.")
        elif value not in (None, {}, []):
            found.append((f"{prefix}{key}", str(value)[:300]))
    return found


def _cut(value: object) -> object:
    """Settings without texts that nobody reads; wrapping ten megabytes takes a minute."""
    if isinstance(value, Mapping):
        return {words.brief(str(key)): _cut(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_cut(each) for each in value]
    return words.brief(value, 2000) if isinstance(value, str) else value


def _spec_yaml(spec: Mapping[str, Any]) -> str:
    text = yaml.safe_dump(_cut(dict(spec)), sort_keys=False, allow_unicode=True, width=90)
    if len(text) <= LONGEST_FILE:
        return text
    return f"{text[:LONGEST_FILE]}\n# ... {len(text) - LONGEST_FILE:,} letters more\n"
