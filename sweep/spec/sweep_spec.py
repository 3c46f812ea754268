"""`SweepSpec`: the whole of a sweep file, as it was asked for; nothing in it is settled yet.

Read from YAML by `sweep.spec.load`, written by hand from Python just as well. It knows neither Ray
nor torch. Axis levels stay as given here; `search_spaces` turns them into patches of a
`TrainerConfig`.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, WithJsonSchema

from infra.frozen import Frozen
from sweep.spec.axis_spec import AxisEntry, Choice, Patch
from sweep.spec.design_spec import DesignSpec, OneFactorDesign
from sweep.spec.notify_spec import NotifySpec
from sweep.spec.objective_spec import ObjectiveSpec
from sweep.spec.replicates_spec import ReplicatesSpec
from sweep.spec.scheduler_spec import NoScheduler, SchedulerSpec

Share = Annotated[float, Field(gt=0, le=1)]


class PartBudgetSpec(Frozen):
    """What a part of a sweep may spend; each limit is hard, absent means unlimited."""

    gpu_hours: PositiveFloat | None = None
    """Device-hours of its trials."""
    usd: PositiveFloat | None = None
    """Money; needs `usd_per_gpu_hour`."""
    hours: PositiveFloat | None = None
    """Wall clock from its first trial on."""
    trials: PositiveInt | None = None
    failures: PositiveInt | None = None
    """Failed attempts."""


class ArmBudgetSpec(PartBudgetSpec):
    """What each arm may spend, all its seeds together; it is stopped then, and the others go on."""


class StageBudgetSpec(PartBudgetSpec):
    """What one stage of a staged design may spend.

    Once it is spent the stage is over: the next one goes on from what was trained to its end.
    """


class BudgetSpec(Frozen):
    """What the sweep may spend, and its part of a cluster; a limit is hard, absent means unlimited.

    Coming near a limit is told first, then nothing new begins, then what runs is stopped.
    """

    gpu_hours: PositiveFloat | None = None
    """Device-hours: seconds of every attempt times its devices (a CPU worker counts as one)."""
    usd_per_gpu_hour: PositiveFloat | None = None
    usd: PositiveFloat | None = None
    """Money; needs `usd_per_gpu_hour`."""
    hours: PositiveFloat | None = None
    """Wall clock of the sweep, all drivers together."""
    trials: PositiveInt | None = None
    failures: PositiveInt | None = None
    """Failed attempts after which the sweep stops."""
    devices: PositiveInt | None = None
    """Devices it may use at once, however many a cluster has."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Among the sweeps on one cluster: a higher one is given devices first, and what runs of lower
    ones checkpoints and waits for it. Equals take turns."""
    per_arm: ArmBudgetSpec = ArmBudgetSpec()
    """What one arm may spend; it is stopped then, and the others go on."""
    per_stage: dict[str, StageBudgetSpec] = Field(default_factory=dict)
    """What stages of a staged design may spend, by name; one without a limit of its own may spend
    what those after it would need."""
    warn_at: Share = 0.8
    """Part of a limit from which on the log says that it comes near."""
    drain_at: Share = 0.95
    """Part of device-hours, money or wall clock from which on nothing new begins."""

    @property
    def limits_arms(self) -> bool:
        """Whether arms have budgets of their own."""
        return self.per_arm != ArmBudgetSpec()


class ResourcesSpec(Frozen):
    """How trials are laid out that do not fit a device; changes nothing that is trained.

    The trainer's estimate of memory settles workers, ZeRO stage, micro batch and checkpointing: the
    fewest workers that fit. A trial that fits as it is stays as it is.
    """

    gib: PositiveFloat | None = None
    """Memory of one device; of the device named to `check`, else this machine's, when absent."""
    at_most: PositiveInt | None = None
    """Largest gang; as many as there are devices when absent."""


class TrackingSpec(Frozen):
    """Where MLflow shows the sweep."""

    uri: str = "auto"
    """A tracking server or database; `auto` is the machine's own (`RMSWEEP_TRACKING_URI`)."""
    experiment: str | None = None
    """MLflow's experiment; the sweep's name when absent."""


_NAME = r"^[a-z0-9][a-z0-9._-]{0,62}$"


def _checked_name(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        came = repr(name) if len(name) <= 200 else f"{name[:60]!r}... of {len(name):,} letters"
        raise ValueError(
            "expected at most 63 lower-case letters, digits, '.', '_' and '-', a letter or digit "
            f"first, came {came}"
        )
    return name


class SweepSpec(Frozen):
    """One sweep file."""

    name: Annotated[
        str, AfterValidator(_checked_name), WithJsonSchema({"type": "string", "pattern": _NAME})
    ]
    """Lower-case letters, digits, `.`, `_`, `-`; names the sweep in every listing."""
    question: str = ""
    """What the sweep is to answer; heads the report."""
    baseline: str | Patch = Field(default_factory=dict)
    """A shipped recipe's name, a sweep or trainer-config file, or settings of a trainer config."""
    set: Patch = Field(default_factory=dict)
    """Settings changed in the baseline, by dotted path."""
    axes: dict[str, AxisEntry] = Field(default_factory=dict)
    """What varies: a dotted path, a shipped axis' name, or any name with patches as levels."""
    constraints: list[str] = Field(default_factory=list)
    """Conditions every arm must meet, such as `head.layers == 1 or scale != 'xs'`."""
    exclude: list[dict[str, Choice]] = Field(default_factory=list)
    """Combinations that are left out: `{scale: xs, head.layers: [2, 3]}`."""
    design: DesignSpec = OneFactorDesign()
    replicates: ReplicatesSpec = ReplicatesSpec()
    objective: ObjectiveSpec = ObjectiveSpec()
    scheduler: SchedulerSpec = NoScheduler()
    """Whether arms that fall behind are stopped early."""
    budget: BudgetSpec = BudgetSpec()
    resources: Literal["given", "auto"] | ResourcesSpec = "given"
    """`given`: trials run as `machine` says. `auto`, or a device's memory: laid out to fit."""
    tracking: TrackingSpec = TrackingSpec()
    notify: NotifySpec = NotifySpec()
    """What is told to the machine's webhook (`RMSWEEP_WEBHOOK`), where there is one."""
    storage: str = "auto"
    """`file:FOLDER` or `s3://BUCKET/PREFIX`; `auto` is the machine's own (`RMSWEEP_STORAGE`)."""
