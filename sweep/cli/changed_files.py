"""A sweep file and the sweep of its name in the ledger: the same, extended since, or another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from infra.errors import InputError
from sweep.cli.console import print_warning

if TYPE_CHECKING:
    from sweep.cli.offers import Offer
    from sweep.cli.workplace import Workplace
    from sweep.engine.planning.comparison import Change
    from sweep.engine.planning.plan import SweepPlan
    from sweep.records.rows import SweepRow

CHANGES_SHOWN = 12


def warn_of_another(workplace: Workplace, plan: SweepPlan) -> None:
    """Say in what a file differs from the sweep of its name that the ledger holds."""
    row = _namesake(workplace, plan)
    if row is None:
        return
    print_warning(
        f"the file is not that of {row.sweep_id} any more, it is a sweep of its own now, "
        f"{plan.sweep_id}; what still fits is reused. {_choices(row)}\n" + _differences(row, plan)
    )


def refuse_extended(workplace: Workplace, plan: SweepPlan) -> None:
    """Refuse to run a file whose sweep was extended since: it asks for less than there is.

    Raises:
        InputError: Saying in what they differ and what can be done.
    """
    row = workplace.ledger.registered(plan.sweep_id)
    if row is not None and _asks_for_less(row, plan):
        raise InputError(
            f"{row.sweep_id} was extended since this file; `rmsweep resume {row.sweep_id}` goes "
            "on with the larger one, another name in the file makes a sweep of its own\n"
            + _differences(row, plan)
        )


def plan_to_resume(workplace: Workplace, file: str, offer: Offer | None = None) -> SweepPlan:
    """The plan of the sweep a file asks for, to go on with.

    Its words, machines and places are the file's, its budget is what the ledger says: that may
    have been changed since.

    Raises:
        InputError: If the ledger's sweep of that name asks for something else; says what, and
            what can be done. Also if there is none.
    """
    from sweep.cli.planning import plan_file
    from sweep.spec.sweep_spec import BudgetSpec

    plan, _ = plan_file(workplace, file, (), offer)
    row = workplace.ledger.registered(plan.sweep_id)
    if row is not None:
        refuse_extended(workplace, plan)
        budget = BudgetSpec.model_validate(row.spec_json.get("budget") or {})
        return replace(plan, spec=plan.spec.model_copy(update={"budget": budget}))
    row = _namesake(workplace, plan)
    if row is None:
        raise InputError(f"no sweep was started from {file} yet; `rmsweep run {file}` starts it")
    raise InputError(
        f"{file} is not the sweep {row.sweep_id} any more. {_choices(row)}; `rmsweep run {file}` "
        f"runs what the file asks for now and reuses what fits\n" + _differences(row, plan)
    )


def change_lines(changes: list[Change]) -> list[str]:
    """Changes for people, the first of them."""
    lines = [f"  {change}" for change in changes[:CHANGES_SHOWN]]
    if len(changes) > len(lines):
        lines.append(f"  and {len(changes) - len(lines)} more changes")
    return lines


def _choices(row: SweepRow) -> str:
    return (
        f"`rmsweep resume {row.sweep_id}` goes on with the old one, `rmsweep extend "
        f"{row.sweep_id}` adds to it"
    )


def _differences(row: SweepRow, plan: SweepPlan) -> str:
    from sweep.engine.planning.comparison import asked_changes

    changes = asked_changes(row.spec_json, plan.spec.model_dump(mode="json"))
    return "\n".join(change_lines(changes))


def _asks_for_less(row: SweepRow, plan: SweepPlan) -> bool:
    from sweep.records.content import content_digest

    return content_digest(row.spec_json) != content_digest(plan.spec.model_dump(mode="json"))


def _namesake(workplace: Workplace, plan: SweepPlan) -> SweepRow | None:
    """The newest sweep of the plan's name, when the plan is another."""
    rows = [row for row in workplace.ledger.sweeps() if row.name == plan.spec.name]
    if not rows or any(row.sweep_id == plan.sweep_id for row in rows):
        return None
    return max(rows, key=lambda row: row.created)
