"""Whether the trials of a plan fit into a device's memory, and the layout in which they would."""

from __future__ import annotations

from collections.abc import Iterator

from infra.errors import InputError
from sweep.engine.planning.footprint import fitting_layout, footprint
from sweep.engine.planning.plan import SweepPlan

SHOWN = 3
UNFENCED = (
    "trials share a GPU (machine.trials_per_gpu): its memory is divided by estimate alone, and one "
    "that takes more than its part can make another run out"
)


def memory_notes(plan: SweepPlan, *, gib: float | None) -> tuple[str, ...]:
    """Arms that need more than a device has, and the settings of `machine` under which they fit.

    Args:
        plan: What would run.
        gib: Memory of one device; nothing is said where it is not known.
    """
    shared = (UNFENCED,) if any(a.config.machine.trials_per_gpu > 1 for a in plan.arms) else ()
    if gib is None:
        return shared
    notes = dict.fromkeys(_notes(plan, gib))
    shown = list(notes)[:SHOWN]
    if len(notes) > SHOWN:
        shown.append(f"and {len(notes) - SHOWN} more arms do not fit")
    return (*shown, *shared)


def _notes(plan: SweepPlan, gib: float) -> Iterator[str]:
    market = plan.estimate.market
    for arm in plan.arms:
        needed = footprint(arm.config, device=market.device).device_gib
        shared = arm.config.machine.trials_per_gpu
        own = gib / shared
        if needed <= own:
            continue
        has = f"a {market.device} has {gib:g}" + (f" for {shared} trials" if shared > 1 else "")
        what = f"{arm.name} takes about {needed:.3g} GiB on a device, {has}"
        most = 1 if shared > 1 else market.devices
        try:
            layout = fitting_layout(arm.config, device=market.device, gib=own, max_workers=most)
        except InputError as error:
            yield f"{what}; {error}"
            continue
        settings = ", ".join(f"machine.{name}={_text(value)}" for name, value in layout.items())
        yield f"{what}; it would fit with {settings}"


def _text(value: object) -> str:
    """As YAML writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
