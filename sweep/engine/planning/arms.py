"""`Arm`: one distinct training of a sweep, before it is replicated over seeds.

Points that settle into the same training are one arm. The baseline, when it is among them, comes
first and is called `baseline`; other arms are called by their levels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from infra.errors import Problem, SpecError
from infra.findings import InvalidSettings
from search_spaces.axes import Axis
from search_spaces.points import BASELINE, own_levels
from search_spaces.rules import Rule
from search_spaces.settling import PointSettler
from sweep.engine.designs.points import DRAWN, Design, DesignFacts, first_design, make_design
from sweep.spec.design_spec import DesignSpec
from trainer.config import BackboneConfig, DataConfig, TrainerConfig
from trainer.identity import PENDING, identity_text

LONGEST_NAME = 240
_MAX_PROBLEMS = 20


class Digests(Protocol):
    """Content of data and backbones, or None for what only the cluster can see."""

    def data(self, config: DataConfig) -> Mapping[str, str] | None:
        """Digest of every source with a positive weight, by name."""
        ...

    def backbone(self, config: BackboneConfig) -> str | None:
        """Digest of the backbone's files."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One distinct training."""

    name: str
    """`baseline`, or its levels such as `head.layers=3, scale=xs`."""
    axis: str | None
    """The one axis in which it differs from the baseline; None when there is not exactly one."""
    level: str | None
    """Its level on that axis."""
    point: Mapping[str, str]
    """Level of every axis that is active, `baseline` where the baseline has no level of its own."""
    config: TrainerConfig
    """With the first seed."""
    pending: bool = False
    """A digest its identity needs is not known yet."""
    text: tuple[str, str] = field(default=("", ""), repr=False)
    """What its identities are digests of, cut where the seed stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignedArms:
    """The arms of a design and what can be told apart with them."""

    arms: tuple[Arm, ...]
    """The baseline first, if it is among them."""
    facts: DesignFacts
    settling: Settling
    """Settles further points as it did these."""


def make_arms(
    spec: DesignSpec,
    *,
    baseline: TrainerConfig,
    axes: Sequence[Axis],
    digests: Digests,
    rules: Sequence[Rule] = (),
    source: str = "the sweep",
) -> DesignedArms:
    """The arms of a design, those that break a rule left out.

    Raises:
        SpecError: If the design has no points or too many, a point is no valid config, an axis
            changes nothing that is trained, or rules leave a design without its balance.
    """
    varied, first = first_design(spec, axes)
    design = make_design(first, varied)
    problems = design.problems()
    if problems:
        raise SpecError(source, problems)
    settling = Settling(baseline=baseline, axes=axes, rules=rules, digests=digests)
    for asked in design.points():
        settling.take(asked)
        if design.wanted is not None and settling.moved >= design.wanted:
            break
    arms = settling.arms()
    problems = (
        settling.problems
        or _unbalanced(first, settling)
        or _too_few(design, settling)
        or _idle_axes(varied, arms, complete=not settling.left_out and first.kind not in DRAWN)
    )
    if problems:
        raise SpecError(source, _shortened(problems))
    facts = replace(design.facts(), left_out=settling.left_out)
    return DesignedArms(arms=arms, facts=facts, settling=settling)


class Settling:
    """Points into distinct trainings, one at a time."""

    def __init__(
        self,
        *,
        baseline: TrainerConfig,
        axes: Sequence[Axis],
        rules: Sequence[Rule],
        digests: Digests,
    ) -> None:
        self._rules, self._own = rules, own_levels(axes)
        self._settler = PointSettler(baseline, axes)
        self._identities = IdentityTexts(digests)
        self._reference, _ = self._identities(baseline)
        self._found: dict[tuple[str, str], Arm] = {}
        self.problems: list[Problem] = []
        self.left_out = 0
        self.dropped: set[str] = set()
        """Axes that did not matter at some point."""

    @property
    def moved(self) -> int:
        """Distinct trainings so far, the baseline not counted."""
        return len(self._found) - (self._reference in self._found)

    def take(self, asked: Mapping[str, str]) -> Arm | None:
        """Settle one point; note it as an arm, as broken, or as left out."""
        try:
            settled = self._settler.settle(asked)
        except InvalidSettings as error:
            self.problems += [_at_point(problem, asked) for problem in error.problems]
            return None
        self.dropped.update(settled.inactive)
        point = self._settler.full_point(settled)
        if any(rule.broken(settled.config, point) for rule in self._rules):
            self.left_out += 1
            return None
        text, pending = self._identities(settled.config)
        if text not in self._found:
            self._found[text] = Arm(
                name=BASELINE if text == self._reference else _name(settled.point),
                **_only_move(point, self._own),
                point=point,
                config=settled.config,
                pending=pending,
                text=text,
            )
        return self._found[text]

    def arms(self) -> tuple[Arm, ...]:
        """The distinct trainings, the baseline first."""
        found = self._found.values()
        return tuple(sorted(found, key=lambda arm: arm.text != self._reference))


def _unbalanced(spec: DesignSpec, settling: Settling) -> list[Problem]:
    """What takes the balance from a fraction."""
    if spec.kind != "fractional":
        return []
    problems = []
    if settling.left_out:
        message = (
            f"{settling.left_out} of the fraction's points break a rule (constraints, exclude), "
            "and without them it is no longer balanced; use design grid or random, or make one "
            "axis of the combinations that are allowed"
        )
        problems.append(Problem("design", message))
    problems += [
        Problem(
            f"axes.{name}",
            "the axis does not matter at every point (its condition), and a fraction is only "
            "balanced if all axes do; use design grid or random, or make one axis of both",
        )
        for name in sorted(settling.dropped)
    ]
    return problems


def _too_few(design: Design, settling: Settling) -> list[Problem]:
    """A design without a training, or with fewer than were asked for."""
    if not settling.arms():
        message = f"no combination meets every rule ({settling.left_out:,} break one); loosen them"
        return [Problem("constraints", message)]
    if design.wanted is not None and settling.moved < design.wanted:
        message = (
            f"only {settling.moved:,} distinct trainings that meet every rule were found, "
            f"{design.wanted:,} are asked for; lower points, or widen the axes"
        )
        return [Problem("design.points", message)]
    return []


class IdentityTexts:
    """Canonical identity texts of configs, every digest asked for once."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self._data: dict[str, Mapping[str, str] | None] = {}
        self._backbones: dict[str, str | None] = {}

    def __call__(self, config: TrainerConfig) -> tuple[tuple[str, str], bool]:
        """The text, cut at the seed, and whether a digest in it is still unknown."""
        key = config.data.model_dump_json()
        if key not in self._data:
            self._data[key] = self._digests.data(config.data)
        data = self._data[key]
        key = config.backbone.model_dump_json()
        if key not in self._backbones:
            self._backbones[key] = self._digests.backbone(config.backbone)
        backbone = self._backbones[key]
        text = identity_text(
            config,
            data_digests={PENDING: PENDING} if data is None else data,
            backbone_digest=PENDING if backbone is None else backbone,
        )
        return text, data is None or backbone is None


def _only_move(point: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str | None]:
    """The one axis away from the baseline and its level, if there is exactly one."""
    moved = [name for name, level in point.items() if level != own.get(name, BASELINE)]
    if len(moved) != 1:
        return {"axis": None, "level": None}
    return {"axis": moved[0], "level": point[moved[0]]}


def _name(point: Mapping[str, str]) -> str:
    name = ", ".join(f"{axis}={level}" for axis, level in point.items())
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 12]}... {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _idle_axes(axes: Sequence[Axis], arms: Sequence[Arm], *, complete: bool) -> list[Problem]:
    """Axes that the design asks about in vain; `complete`: it takes every level of every axis."""
    problems = []
    for axis in axes:
        levels = {arm.point[axis.name] for arm in arms if axis.name in arm.point}
        if not levels:
            message = (
                f"the axis never matters in this design: its condition ({axis.condition}) holds "
                "at no point; change the baseline under `set`, or drop the axis"
            )
            problems.append(Problem(f"axes.{axis.name}", message))
        elif len(levels) == 1 and len(axis.levels) > 1 and complete:
            message = (
                f"the axis' {len(axis.levels)} levels all train the same weights in this design; "
                "drop it"
            )
            problems.append(Problem(f"axes.{axis.name}", message))
    return problems


def _at_point(problem: Problem, point: Mapping[str, str]) -> Problem:
    where = _name(point) or BASELINE
    return Problem("axes", f"{where} is no valid arm: {problem.path}: {problem.message}")


def _shortened(problems: Sequence[Problem]) -> list[Problem]:
    shown = list(problems[:_MAX_PROBLEMS])
    if len(problems) > len(shown):
        shown.append(Problem("axes", f"and {len(problems) - len(shown)} more like these"))
    return shown
