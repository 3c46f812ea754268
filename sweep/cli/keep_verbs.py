"""Verbs that tidy the store: `gc`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli.console import counted, out, print_json, print_table
from sweep.cli.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from sweep.engine.garbage import StoredTrial, Superfluous
    from sweep.records.rows import SweepRow, TrialView

_CHECKPOINT = re.compile(r"trials/(?P<identity>[0-9a-f]+)/checkpoints/step-(?P<step>\d+)/")
SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.command()(gc)


def gc(
    sweeps: Annotated[
        list[str] | None, typer.Argument(help="Sweeps to tidy; all in the ledger if absent.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete; without it, only show what would go.")
    ] = False,
    kept: Annotated[
        bool,
        typer.Option(
            "--kept",
            help="Also pooled states and vision features, which the next trial computes anew.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show, or delete, checkpoints nobody needs: not last, best or promoted, nor of live trials.

    And what writers who were killed a day ago or longer left half written in a folder.
    """
    from sweep.engine.garbage import superfluous_checkpoints

    workplace = open_workplace()
    rows = [workplace.ledger.sweep(name) for name in sweeps or ()] or workplace.ledger.sweeps()
    found: list[tuple[SweepRow, Superfluous]] = []
    seen: set[str] = set()
    for row in rows:
        for trial in _stored_trials(workplace, row, seen):
            found += [(row, each) for each in superfluous_checkpoints(trial)]
    gone = [each for row, each in found if not delete or _delete(workplace, row, each)]
    tensors = _kept_tensors(workplace, rows, delete=delete) if kept else []
    halves = _unfinished_files(workplace, rows, delete=delete)
    if json:
        listed = [
            {"identity": each.identity, "step": each.step, "reason": each.reason} for each in gone
        ]
        told = {"deleted": delete, "checkpoints": listed, "kept": tensors, "unfinished": halves}
        print_json(told)
        return
    cells = [(each.identity[:10], each.step, each.reason) for each in gone[:SHOWN]]
    if cells:
        print_table("", ("trial", "step", "why"), cells, right=("step",))
    rest = f", {len(gone) - SHOWN} more than shown" if len(gone) > SHOWN else ""
    checkpoints = f"{counted(len(gone), 'checkpoint')}{rest}"
    files = f"{counted(len(tensors), 'file')} of states and features"
    half = counted(len(halves), "half-written file")
    what = " and ".join(
        [checkpoints] * bool(gone) + [files] * bool(tensors) + [half] * bool(halves)
    )
    if not what:
        out.print("every checkpoint there is may still be needed")
    elif delete:
        out.print(f"deleted {what}")
    else:
        again = "rmsweep gc --kept --delete" if kept else "rmsweep gc --delete"
        out.print(f"{what} could go; `{again}` deletes them")


def _stored_trials(workplace: Workplace, row: SweepRow, seen: set[str]) -> Iterator[StoredTrial]:
    """The sweep's trials that have checkpoints and were not looked at for another sweep."""
    from sweep.engine.garbage import StoredTrial
    from sweep.records.lifecycle import TrialState

    keys = _checkpoint_keys(workplace, row)
    views = [
        view
        for view in workplace.ledger.trials(row.sweep_id)
        if view.identity in keys and view.identity not in seen
    ]
    reports = workplace.ledger.reports([view.identity for view in views])
    metric, sign = _objective(row)
    for view in views:
        seen.add(view.identity)
        said = reports.get(view.identity, [])
        yield StoredTrial(
            identity=view.identity,
            state=view.state,
            # A driver that died may be taken over at any moment: its trial counts as under way.
            under_way=view.state is TrialState.RUNNING,
            last_step=None if view.checkpoint is None else view.checkpoint.step,
            keys=keys[view.identity],
            scores={r.step: sign * r.metrics[metric] for r in said if metric in r.metrics},
            promoted_steps=_rung_steps(row, view),
        )


def _kept_tensors(workplace: Workplace, rows: Sequence[SweepRow], *, delete: bool) -> list[str]:
    """Keys of what trials keep for later ones in these sweeps' stores, deleted if asked."""
    from trainer.kept_places import KEPT

    found = []
    for storage in dict.fromkeys(row.storage for row in rows):
        store = workplace.store(storage)
        for key in [key for prefix in KEPT for key in store.keys(prefix)]:
            found.append(key)
            if delete:
                store.delete(key)
    return found


def _unfinished_files(workplace: Workplace, rows: Sequence[SweepRow], *, delete: bool) -> list[str]:
    """What dead writers left in these sweeps' stores, deleted if asked."""
    from infra.object_store import unfinished_files

    found = []
    for storage in dict.fromkeys(row.storage for row in rows):
        for path in unfinished_files(workplace.store(storage)):
            found.append(str(path))
            if delete:
                path.unlink(missing_ok=True)
    return found


def _checkpoint_keys(workplace: Workplace, row: SweepRow) -> dict[str, dict[int, list[str]]]:
    keys: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for key in workplace.store(row.storage).keys("trials/"):
        match = _CHECKPOINT.match(key)
        if match is not None:
            keys[match["identity"]][int(match["step"])].append(key)
    return keys


def _objective(row: SweepRow) -> tuple[str, float]:
    objective = row.spec_json.get("objective") or {}
    benchmark = objective.get("benchmark", "validation")
    sign = -1.0 if objective.get("mode") == "min" else 1.0
    return f"eval/{benchmark}/{objective.get('metric', 'accuracy')}", sign


def _rung_steps(row: SweepRow, view: TrialView) -> set[int]:
    """Steps at which the trial's arm could go on from a rung."""
    from sweep.engine.contest import Contest
    from sweep.spec.sweep_spec import SweepSpec
    from trainer.config import TrainerConfig

    scheduler = SweepSpec.model_validate(row.spec_json).scheduler
    steps = TrainerConfig.model_validate(view.config_json).total_steps
    return set(Contest(scheduler.rungs, sign=1.0).steps(steps))


def _delete(workplace: Workplace, row: SweepRow, each: Superfluous) -> bool:
    """Delete one checkpoint, unless somebody took its trial up since it was looked at."""
    from sweep.records.lifecycle import TrialState

    running = workplace.ledger.attempts([each.identity])
    if any(attempt.state == TrialState.RUNNING for attempt in running):
        return False
    store = workplace.store(row.storage)
    for key in each.keys:
        store.delete(key)
    return True
