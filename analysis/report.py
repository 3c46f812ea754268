"""The report: one HTML file that needs nothing else, for one sweep or several.

Invariant: the page makes no request, escapes all that came from elsewhere, and can be written at
any time - of a sweep that runs, that failed whole, or that has one arm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis import report_words as words
from analysis.ablation import Ablation, ablate
from analysis.ensemble_result import EnsembleResult
from analysis.ensembles import choose_ensemble
from analysis.report_plots import SERIES, Scale, accuracy_scale, effect_scale, learning_curves
from analysis.slices import ImageCheck, SliceTable, image_check, slice_table
from analysis.tables import SweepTables, read_sweep
from infra.errors import DiskFullError, InputError, StoreError
from infra.object_store import ObjectStore
from infra.provenance import take_provenance
from infra.settings import masked
from sweep.records.ledger import Ledger
from sweep.records.rows import TrialView

SLICED_ARMS = 7
"""More arms than this do not fit a page's width side by side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Trials that failed alike."""

    arm: str
    kind: str
    message: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPage:
    """All that the page says of one sweep."""

    tables: SweepTables
    ablation: Ablation
    answer: str
    axis_scales: dict[str, Scale]
    arm_scale: Scale
    curves: Markup | None
    slices: tuple[SliceTable, ...]
    sliced_arms: tuple[str, ...]
    images: ImageCheck | None
    failures: tuple[Failure, ...]
    unknowns: tuple[str, ...]
    spec_yaml: str
    usd: float | None
    """What this sweep paid for, where the price of a device-hour is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult:
    """A written report."""

    path: Path
    headline: str
    """The answer, of every sweep on a line of its own."""
    sweeps: tuple[str, ...]
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "path": str(self.path),
            "headline": self.headline,
            "sweeps": list(self.sweeps),
            "size_bytes": self.size_bytes,
        }


def write_report(
    ledger: Ledger, store: ObjectStore, sweep_ids: Sequence[str], out_path: Path | str
) -> ReportResult:
    """Write the report of some sweeps, and have it shown with them.

    Args:
        ledger: Where the sweeps are known.
        store: Where their trials' files lie by default; gets `reports/<sweep id>.html` as well.
        sweep_ids: One sweep, or several to be reported side by side.
        out_path: The HTML file.

    Raises:
        InputError: If no sweep is named, or the file cannot be written there.
        MissingError: If a sweep does not exist.
    """
    if not sweep_ids:
        raise InputError("a report needs at least one sweep, got none")
    sweeps = [read_sweep(ledger, sweep_id, store=store) for sweep_id in sweep_ids]
    pages = [build_page(tables) for tables in sweeps]
    ensemble, no_ensemble = _ensemble(sweeps)
    html = render(pages, ensemble=ensemble, no_ensemble=no_ensemble)
    data = html.encode()
    path = Path(out_path)
    _write(path, data)
    key = f"reports/{sweeps[0].sweep_id}.html"
    store.write(key, data)
    headline = "\n".join(page.answer for page in pages)
    for page in pages:
        ledger.enqueue_publication(
            page.tables.sweep_id,
            "report",
            {"files": {"report.html": key}, "store": store.uri, "headline": page.answer},
        )
    return ReportResult(
        path=path,
        headline=headline,
        sweeps=tuple(tables.sweep_id for tables in sweeps),
        size_bytes=len(data),
    )


def build_page(tables: SweepTables, benchmark: str | None = None) -> SweepPage:
    """All that is said of one sweep, on one of its test benchmarks."""
    ablation = ablate(tables, benchmark)
    shown = _prominent_arms(ablation)
    monitored = next(iter(tables.benchmarks_for("selection")), "validation")
    svg = learning_curves(
        tables.curves,
        monitored=f"eval/{monitored}/accuracy",
        highlighted=shown[:SERIES],
        prefix=f"{tables.sweep_id}-",
    )
    usd_per_hour = tables.sweep.spec_json.get("budget", {}).get("usd_per_gpu_hour")
    slices = [slice_table(ablation.outcomes, ablation.baseline, by="category")]
    slices.append(slice_table(ablation.outcomes, ablation.baseline, by="source"))
    return SweepPage(
        tables=tables,
        ablation=ablation,
        answer=words.answer(tables, ablation),
        axis_scales={axis.axis: effect_scale(axis.levels) for axis in ablation.axes},
        arm_scale=accuracy_scale(ablation.arms),
        curves=Markup(svg) if svg else None,  # drawn, and escaped, by matplotlib
        slices=tuple(table for table in slices if table is not None),
        sliced_arms=tuple(shown[:SLICED_ARMS]),
        images=image_check(tables, ablation.outcomes),
        failures=_failures(tables.trial_views),
        unknowns=tuple(words.unknowns(tables, ablation)),
        spec_yaml=yaml.safe_dump(
            dict(tables.sweep.spec_json), sort_keys=False, allow_unicode=True, width=90
        ),
        usd=None if usd_per_hour is None else tables.spent.device_seconds / 3600 * usd_per_hour,
    )


def render(
    pages: Sequence[SweepPage], *, ensemble: EnsembleResult | None = None, no_ensemble: str = ""
) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("analysis", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        points=words.points,
        percent=words.percent,
        p_value=words.p_value,
        duration=words.hours,
        moment=words.moment,
        glyph=words.verdict_glyph,
        masked=masked,
        typeset=words.typeset,
        breakable=words.breakable,
    )
    provenance = take_provenance()
    return environment.get_template("report.html.j2").render(
        pages=pages,
        ensemble=ensemble,
        no_ensemble=no_ensemble,
        provenance=provenance,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _prominent_arms(ablation: Ablation) -> list[str]:
    """Baseline, best, then the others by objective."""
    ranked = sorted(
        (arm for arm in ablation.arms if arm.objective is not None or arm.accuracy is not None),
        key=lambda arm: -(arm.objective if arm.objective is not None else -1.0),
    )
    names = [ablation.baseline, ablation.best, *(arm.arm for arm in ranked)]
    names += [arm.arm for arm in ablation.arms]
    return [name for name in dict.fromkeys(names) if name is not None]


def _failures(views: Sequence[TrialView]) -> tuple[Failure, ...]:
    """Failed trials, those of an arm with the same first line together."""
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


def _ensemble(sweeps: Sequence[SweepTables]) -> tuple[EnsembleResult | None, str]:
    """The ensemble these sweeps would give, or why there is none."""
    try:
        return choose_ensemble(sweeps), ""
    except InputError as error:
        return None, str(error)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except (IsADirectoryError, NotADirectoryError, FileExistsError, PermissionError) as error:
        raise InputError(f"the report cannot be written to {path}: {error.strerror}") from error
    except OSError as error:
        if error.errno == 28:
            raise DiskFullError(f"no space left to write the report to {path}") from error
        raise StoreError(f"the report cannot be written to {path}: {error}") from error
