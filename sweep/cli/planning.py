"""From a sweep file, or a sweep in the ledger, to the plan to be shown or run.

A plan is made the same way for `check`, `run`, `resume` and `status`; what it was made from is
settled before it is registered, so that a sweep in the ledger needs no file to be resumed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from infra.errors import MissingError
from infra.settings import Settings
from sweep.cli.offers import Offer, offer_here
from sweep.cli.workplace import Workplace
from sweep.engine.growing.rules import grows
from sweep.engine.planning.cost_model import MeasuredTrial
from sweep.engine.planning.device_memory import memory_notes
from sweep.engine.planning.fitting import budget_notes
from sweep.engine.planning.plan import SweepPlan, make_plan, with_finished
from sweep.records.lifecycle import TrialState
from sweep.records.rows import SweepRow
from sweep.spec.resolve import ResolvedSweep, resolve, resolve_file
from sweep.spec.sweep_spec import SweepSpec
from trainer.catalog import backbone_digest, lookup
from trainer.config import BackboneConfig, DataConfig, TrainerConfig
from trainer.data.mixture import data_digests

SWEEPS_LEARNED_FROM = 5
"""Newest sweeps whose trial times correct the price."""
TRIALS_LEARNED_FROM = 500
"""More trials make the price no better and the plan slower."""


@dataclass(frozen=True)
class LocalDigests:
    """Digests of what this machine can see; the rest is pending, and noted."""

    settings: Settings
    missing: dict[str, None] = field(default_factory=dict, compare=False)
    """What is not here, in words."""

    def data(self, config: DataConfig) -> Mapping[str, str] | None:
        """Digests of the training items, or None when a file is not here."""
        try:
            return data_digests(config)
        except MissingError as error:
            self.missing[str(error)] = None
            return None

    def backbone(self, config: BackboneConfig) -> str | None:
        """Digest of the model's files, or None when they are not here."""
        digest = backbone_digest(config, models=self.settings.models)
        if digest is None:
            name = config.path or lookup(config).name
            self.missing[f"backbone {name} is not on this machine"] = None
        return digest


def plan_file(
    workplace: Workplace,
    file: str | Path,
    overrides: Sequence[str] = (),
    offer: Offer | None = None,
) -> tuple[SweepPlan, tuple[str, ...]]:
    """The plan of a sweep file, and what is worth knowing about it.

    Args:
        workplace: Whose ledger and data are asked.
        file: Path of a sweep file, or name of a shipped recipe.
        overrides: `path=value` put in before the file is checked.
        offer: What it would run on; this machine when absent.

    Raises:
        SpecError: With every problem of the file.
    """
    resolved = resolve_file(file, overrides)
    offer = offer or offer_here(workplace.settings)
    plan = _plan(workplace, _settled(resolved), offer)
    pending = tuple(f"pending: {each}" for each in plan.missing)
    memory = memory_notes(plan, gib=offer.device.gib)
    return plan, (*resolved.notes, *memory, *budget_notes(plan), *pending)


def plan_spec(workplace: Workplace, spec: SweepSpec, *, sweep_id: str | None = None) -> SweepPlan:
    """The plan of a sweep that stands in no file.

    Args:
        workplace: Whose ledger and data are asked.
        spec: What it asks for.
        sweep_id: Under which it is known; its own when absent.

    Raises:
        SpecError: With every problem of it.
    """
    plan = _plan(workplace, _settled(resolve(spec)))
    return plan if sweep_id is None else replace(plan, sweep_id=sweep_id)


def plan_again(workplace: Workplace, row: SweepRow) -> SweepPlan:
    """The plan of a sweep the ledger holds.

    Raises:
        MissingError: If what it was planned with now gives other trials, as after an upgrade.
    """
    plan = _registered_plan(workplace, row)
    _refuse_other_trials(workplace, row, plan)
    return plan


def plan_elsewhere(workplace: Workplace, row: SweepRow, offer: Offer | None = None) -> SweepPlan:
    """The plan of a sweep the ledger holds, for machines that see data this one does not.

    Raises:
        MissingError: If this machine sees all of its data, and plans other trials.
    """
    plan = _registered_plan(workplace, row, offer)
    if not plan.pending:
        _refuse_other_trials(workplace, row, plan)
    return plan


def _registered_plan(workplace: Workplace, row: SweepRow, offer: Offer | None = None) -> SweepPlan:
    plan = _plan(workplace, resolve(SweepSpec.model_validate(row.spec_json)), offer)
    return replace(plan, sweep_id=row.sweep_id)


def _refuse_other_trials(workplace: Workplace, row: SweepRow, plan: SweepPlan) -> None:
    registered = {view.identity for view in workplace.ledger.trials(row.sweep_id)}
    planned = {trial.identity for trial in plan.trials}
    grown = grows(plan.spec) and planned < registered
    if registered != planned and not grown:
        raise MissingError(
            f"sweep {row.sweep_id} was registered with other trials than are planned now "
            f"({len(registered - planned)} of {len(registered)} differ): its data, backbones or "
            "the trainer changed since; run its file again to start the sweep they make now"
        )


def under_way(workplace: Workplace, plan: SweepPlan) -> dict[str, str]:
    """Trials of the plan that another sweep trains now: its id by identity; they are joined."""
    identities = [trial.identity for trial in plan.to_execute]
    return {
        one.identity: one.sweep_id
        for one in workplace.ledger.attempts(identities)
        if one.state == TrialState.RUNNING and one.sweep_id != plan.sweep_id
    }


def _settled(resolved: ResolvedSweep) -> ResolvedSweep:
    """The same sweep with its baseline written out: it no longer refers to any file."""
    asked = resolved.asked or resolved.baseline
    baseline = asked.model_dump(mode="json", exclude={"seed"})
    spec = resolved.spec.model_copy(update={"baseline": baseline, "set": {}})
    return replace(resolved, spec=spec)


def _plan(workplace: Workplace, resolved: ResolvedSweep, offer: Offer | None = None) -> SweepPlan:
    offer = offer or offer_here(workplace.settings)
    threads = resolved.baseline.machine.threads
    digests = LocalDigests(workplace.settings)
    plan = make_plan(
        resolved,
        digests=digests,
        history=_history(workplace),
        devices=offer.workers(threads),
        device=offer.device,
        gib=offer.gib(threads),
    )
    identities = [trial.identity for trial in plan.trials]
    identities += [each.trial.identity for each in plan.later]
    plan = replace(plan, missing=tuple(digests.missing))
    return with_finished(plan, _finished(workplace, identities))


def _finished(workplace: Workplace, identities: Iterable[str]) -> set[str]:
    attempts = workplace.ledger.attempts(identities)
    return {one.identity for one in attempts if one.state == TrialState.SUCCEEDED}


def _history(workplace: Workplace) -> list[MeasuredTrial]:
    newest = sorted(workplace.ledger.sweeps(), key=lambda sweep: -sweep.created)
    measured: dict[str, MeasuredTrial] = {}
    for sweep in newest[:SWEEPS_LEARNED_FROM]:
        for view in workplace.ledger.trials(sweep.sweep_id):
            if len(measured) >= TRIALS_LEARNED_FROM:
                return list(measured.values())
            if view.state is TrialState.SUCCEEDED and view.device_seconds > 0:
                measured[view.identity] = MeasuredTrial(
                    config=TrainerConfig.model_validate(view.config_json),
                    seconds=view.device_seconds / view.workers,
                    workers=math.ceil(view.workers),
                )
    return list(measured.values())
