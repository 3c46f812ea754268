"""Writing a plan into the ledger: what is registered once is what every later driver executes."""

from __future__ import annotations

from collections.abc import Sequence

from infra.settings import Settings
from sweep.engine.growing.growth import NewTrial
from sweep.engine.planning.plan import PlannedTrial, SweepPlan
from sweep.engine.planning.planned_space import PlannedSpace
from sweep.records.ledger import Ledger
from sweep.records.rows import ArmRow, TrialRow


def register(plan: SweepPlan, ledger: Ledger, settings: Settings) -> None:
    """Write the plan into the ledger; silent when it is there.

    Of a plan whose data only other machines see the sweep alone is written: trials are named by
    their data, and join it where that can be read.

    Raises:
        InputError: If the ledger holds another sweep under this id.
    """
    spec = plan.spec
    ledger.register_sweep(
        plan.sweep_id,
        spec.name,
        spec.model_dump(mode="json"),
        arms=() if plan.pending else arm_rows(plan),
        trials=() if plan.pending else trial_rows(plan),
        tracking_uri=_or_auto(spec.tracking.uri, settings.tracking_uri),
        storage=_or_auto(spec.storage, settings.storage),
    )


def arm_rows(plan: SweepPlan) -> list[ArmRow]:
    """The plan's arms as the ledger keeps them."""
    return [
        ArmRow(name=arm.name, axis=arm.axis, level=arm.level, point=arm.point) for arm in plan.arms
    ]


def trial_rows(plan: SweepPlan) -> list[TrialRow]:
    """The plan's trials as the ledger keeps them, in the order to run them."""
    return [_row(trial) for trial in plan.trials]


def add_planned(
    ledger: Ledger, sweep_id: str, space: PlannedSpace, added: Sequence[NewTrial]
) -> list[PlannedTrial]:
    """Write trials that join a sweep into the ledger; all that it takes to execute them.

    Raises:
        MissingError: If one would be another training now than when it was decided on.
    """
    planned = [space.planned(new) for new in added]
    arms = dict.fromkeys(new.arm for new in added)
    ledger.add_trials(
        sweep_id,
        arms=[space.arm_row(arm) for arm in arms],
        trials=[_row(trial) for trial in planned],
    )
    return planned


def _row(trial: PlannedTrial) -> TrialRow:
    return TrialRow(
        identity=trial.identity,
        arm=trial.arm,
        seed=trial.seed,
        config_json=trial.config.model_dump(mode="json"),
        workers=trial.workers,
    )


def _or_auto(asked: str, own: str) -> str:
    return own if asked == "auto" else asked
