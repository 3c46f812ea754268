"""Verbs around one model: `train` here without Ray, `evaluate` without retraining."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import MissingError, Problem, SpecError
from sweep.cli.benchmark_texts import benchmark_of, config_of
from sweep.cli.console import err, out, print_json, print_table, print_warning
from sweep.cli.metrics_view import BASELINE_HEADS, evaluation_lines, incomplete, print_metrics
from sweep.cli.plan_verbs import Json, Overrides
from sweep.cli.run_verbs import INTERRUPTED
from sweep.cli.showing import show_in_mlflow
from sweep.cli.workplace import Workplace, open_workplace
from trainer.evaluation.overlap_metrics import overlaps
from trainer.evaluation.published_items import shortfall

if TYPE_CHECKING:
    from sweep.records.rows import TrialView
    from trainer.config import TrainerConfig
    from trainer.data.overlaps import SeenOverlaps
    from trainer.reporting import Answer, TrialReport


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    for verb in (train, evaluate):
        app.command()(verb)


class ConsoleReporter:
    """Prints what a trial reports."""

    def report(self, report: TrialReport) -> Answer:
        """One line per message."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
        out.print(f"step {report.step:>5}  {report.fraction:>4.0%}  {shown}", soft_wrap=True)
        return _warned(report)


class SilentReporter:
    """Prints nothing but what is wrong."""

    def report(self, report: TrialReport) -> Answer:
        """Go on."""
        return _warned(report)


def _warned(report: TrialReport) -> Answer:
    if report.note:
        print_warning(report.note)
    return "continue"


def train(  # noqa: PLR0917 -- typer declares options in signatures
    file: Annotated[
        str,
        typer.Argument(help="A trainer config or a sweep file, or the name of a shipped recipe."),
    ],
    point: Annotated[
        list[str] | None,
        typer.Option(help="AXIS=LEVEL, away from a sweep's baseline; repeatable."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**32 - 1, help="The trial's seed; the config's own if absent."),
    ] = None,
    overrides: Overrides = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="Folder to leave the trial's files in.")
    ] = None,
    auto: Annotated[
        bool,
        typer.Option(
            "--machine-auto",
            help="Settle workers, ZeRO stage, micro batch and checkpointing for this machine.",
        ),
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Train from the beginning, whatever an earlier run left.")
    ] = False,
    json: Json = False,
) -> int:
    """Train one reward model, of a config or of a sweep's trial, on this machine, without Ray.

    Ctrl-C ends it with a checkpoint, and the same command goes on from there.
    """
    from trainer.catalog import backbone_digest, lookup
    from trainer.data.mixture import data_digests
    from trainer.devices import devices_here, layout_text, settled_on
    from trainer.gangs.foreground import train_here
    from trainer.identity import training_identity

    workplace = open_workplace()
    config = point_config(file, point or (), overrides or ())
    if seed is not None:
        config = config.model_copy(update={"seed": seed})
    if auto:
        config = settled_on(devices_here(), config)
        if not json:
            out.print(f"machine: {layout_text(config)}")
    backbone = backbone_digest(config.backbone, models=workplace.settings.models)
    if backbone is None:
        raise MissingError(
            f"the backbone {lookup(config.backbone).hub_id} is not on this machine; copy it to "
            "that name below a folder, set RMSWEEP_MODELS to the folder, or name the copy itself "
            "as backbone.path"
        )
    identity = training_identity(
        config, data_digests=data_digests(config.data), backbone_digest=backbone
    )
    folder = (to or workplace.settings.home / "trained").absolute()
    reporter = SilentReporter() if json else ConsoleReporter()
    outcome = train_here(
        config, folder=folder, identity=identity, reporter=reporter, say=err.print, anew=anew
    )
    place = folder / "trials" / identity
    if json:
        found = {"incomplete": incomplete(outcome.metrics), **outcome.model_dump(mode="json")}
        print_json({"identity": identity, "folder": str(place), **found})
    if not outcome.finished:
        message = f"stopped after step {outcome.step}; the same command goes on from there"
        err.print(message, soft_wrap=True)
        return INTERRUPTED
    if not json:
        print_metrics(outcome.metrics)
        out.print(f"model, scores and record: {place}", soft_wrap=True, markup=False)
    return 0


def evaluate(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep, or the start of its id.")],
    benchmark: Annotated[
        str,
        typer.Option(
            help="A name and what it holds, such as `hard:test:scenes=300,digits=100`, or a file "
            "of pairs such as `mine=pairs.jsonl`."
        ),
    ],
    json: Json = False,
) -> None:
    """Score every finished trial of a sweep on a new benchmark; nothing is retrained."""
    from trainer.data.overlaps import SeenOverlaps

    workplace = open_workplace()
    row = workplace.ledger.sweep(sweep)
    views = [view for view in workplace.ledger.trials(row.sweep_id) if view.model_digest]
    if not views:
        raise MissingError(f"sweep {row.sweep_id} has no finished trial to evaluate")
    rows = []
    seen = SeenOverlaps()  # trials share their data: walking through it once is enough
    for view in views:
        metrics, was_there = _evaluated(workplace, view, benchmark, seen)
        rows.append((view, metrics, was_there))
    show_in_mlflow(workplace, [row])
    name = benchmark_of(benchmark, config_of(views[0]))[0]
    if json:
        print_json(
            [
                {
                    "identity": view.identity,
                    "arm": view.arm,
                    "seed": view.seed,
                    "benchmark": name,
                    "reused": reused,
                    "incomplete": shortfall(metrics) or None,
                    "metrics": metrics,
                }
                for view, metrics, reused in rows
            ]
        )
        return
    cells = []
    for view, metrics, reused in rows:
        who: tuple[object, ...] = (view.arm, view.seed)
        note = "reused" if reused else ""
        for line in evaluation_lines(metrics):
            cells.append((*who, *line, note))
            who, note = ("", ""), ""
    figures = ("value", *BASELINE_HEADS)
    heads = ("arm", "seed", "metric", *figures, "note")
    print_table(f"{row.sweep_id}  {name}", heads, cells, right=("seed", *figures))
    for missing in sorted({shortfall(metrics) for _, metrics, _ in rows} - {""}):
        print_warning(f"{name}: {missing}")
    for shared in sorted({each for _, metrics, _ in rows for each in overlaps(metrics)}):
        print_warning(f"{name}: {shared}")


def point_config(file: str, point: Sequence[str], overrides: Sequence[str]) -> TrainerConfig:
    """The trainer config at a point of a sweep file, or of a file that is one itself.

    Raises:
        SpecError: If the file, an axis or a level is wrong; every problem at once.
    """
    from infra.findings import hint
    from search_spaces.settling import settle_point
    from sweep.spec.baseline import load_trainer_config
    from sweep.spec.load import is_trainer_config, sweep_document
    from sweep.spec.resolve import resolve_file

    if is_trainer_config(sweep_document(file)):
        if point:
            message = f"a trainer config has no axes; set {point[0]} with --set instead"
            raise SpecError(file, [Problem("--point", message)])
        return load_trainer_config(file, overrides)
    resolved = resolve_file(file, overrides)
    axes = {axis.name: axis for axis in resolved.axes}
    chosen: dict[str, str] = {}
    problems = []
    for choice in point:
        name, separator, level = choice.partition("=")
        if not separator:
            problems.append(Problem("--point", f"expected AXIS=LEVEL, got {choice!r}"))
        elif name not in axes:
            problems.append(Problem("--point", f"unknown axis {name!r}{hint(name, axes)}"))
        elif level not in (known := [one.name for one in axes[name].levels]):
            message = f"unknown level {level!r} of {name}{hint(level, known)}"
            problems.append(Problem("--point", message))
        else:
            chosen[name] = level
    if problems:
        raise SpecError(file, problems)
    settled = settle_point(resolved.baseline, resolved.axes, chosen)
    for name in settled.inactive:
        print_warning(f"{name} does not matter at this point and keeps the baseline's level")
    return settled.config


def _evaluated(
    workplace: Workplace, view: TrialView, benchmark: str, seen: SeenOverlaps
) -> tuple[dict[str, float], bool]:
    """The metrics of one trial's model, and whether they were known before."""
    from trainer.data.mixture import benchmark_digest
    from trainer.identity import evaluation_identity
    from trainer.scoring import evaluate_model, every_core

    asked = config_of(view)
    name, wanted, config = benchmark_of(benchmark, asked)
    identity = evaluation_identity(
        config,
        model_digest=str(view.model_digest),
        benchmark_digest=benchmark_digest(config.data, wanted),
    )
    for known in workplace.ledger.evaluations([view.identity]):
        if known.evaluation_identity == identity and known.benchmark == name:
            return dict(known.metrics), True
    store = workplace.store(view.storage or "auto")
    with every_core():
        scored = evaluate_model(store, view.identity, config, {name: wanted}, overlaps=seen)
    metrics = scored[name]
    workplace.ledger.record_evaluation(view.identity, name, identity, metrics)
    return metrics, False
