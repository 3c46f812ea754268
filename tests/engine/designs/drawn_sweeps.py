"""Valid sweeps drawn at random, and what counting their points by hand says they train."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from infra.yaml_source import read_yaml
from sweep.engine.planning.arms import Arm
from sweep.engine.planning.plan import SweepPlan, make_plan
from sweep.spec.load import sweep_of
from sweep.spec.resolve import resolve
from tests.engine.known_digests import KnownDigests

BASELINE: dict[str, Any] = {
    "head.layers": 2,
    "head.activation": "silu",
    "strategy.learning_rate": 1e-3,
    "strategy.weight_decay": 0.0,
    "strategy.length_normalization": False,
    "strategy.zero_coefficient": 0.0,
    "strategy.label_smoothing": 0.0,
    "backbone.scale": "s",
}
"""What these sweeps vary, as it stands in a sweep that says nothing of it."""
TRICKS: dict[str, dict[str, Any]] = {
    "length": {"strategy.length_normalization": True},
    "zero": {"strategy.zero_coefficient": 0.01},
    "smooth": {"strategy.label_smoothing": 0.1},
}
CONDITIONS: dict[str, tuple[str, Callable[[Mapping[str, Any]], bool]]] = {
    "head.activation": ("head.layers >= 2", lambda here: here["head.layers"] >= 2),
    "strategy.weight_decay": ("backbone.scale == 's'", lambda here: here["backbone.scale"] == "s"),
}
"""By axis: when it matters, as a file says it and as Python does. Both hold at the baseline."""
SHIPPED = frozenset({"head.activation"})
"""Axes whose condition holds whether a file says it or not."""
Change = Mapping[str, Any]
Training = frozenset[tuple[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Varied:
    """One axis: how a file gives it, and its levels as changes of settings."""

    name: str
    written: Any
    levels: Mapping[str, Change]
    conditional: bool = False

    def holds(self, here: Mapping[str, Any]) -> bool:
        """Whether the axis matters where the other settings are these."""
        return not self.conditional or CONDITIONS[self.name][1](here)


def listed(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Varied]:
    """An axis over values of its own setting; with its condition, where it has one."""

    def axis(levels: list[Any], said: bool) -> Varied:
        conditional = name in CONDITIONS and (said or name in SHIPPED)
        when = {"when": CONDITIONS[name][0]} if said and conditional else {}
        return Varied(
            name=name,
            written={"levels": levels, **when} if when else levels,
            levels={str(level): {name: level} for level in levels},
            conditional=conditional,
        )

    several = st.lists(values, min_size=2, max_size=3, unique=True)
    return st.builds(axis, several, st.booleans())


AXES: list[st.SearchStrategy[Varied]] = [
    listed("head.layers", st.integers(1, 4)),
    listed("head.activation", st.sampled_from(["none", "tanh", "silu", "gelu"])),
    listed("strategy.learning_rate", st.sampled_from([1e-4, 3e-4, 1e-3, 3e-3])),
    listed("strategy.weight_decay", st.sampled_from([0.0, 0.01, 0.1])),
    st.just(
        Varied(
            name="scale",
            written={"levels": {s: {"backbone.scale": s} for s in ("xs", "s")}},
            levels={s: {"backbone.scale": s} for s in ("xs", "s")},
        )
    ),
]


def tricks_of(chosen: Sequence[str]) -> Varied:
    """A set of tricks, every subset of which is a level."""
    subsets = itertools.chain.from_iterable(
        itertools.combinations(chosen, size) for size in range(len(chosen) + 1)
    )
    return Varied(
        name="tricks",
        written={"members": {name: TRICKS[name] for name in chosen}},
        levels={
            "+".join(subset): {path: v for name in subset for path, v in TRICKS[name].items()}
            for subset in subsets
        },
    )


TRICK_SETS = st.lists(st.sampled_from(sorted(TRICKS)), min_size=2, unique=True).map(tricks_of)


@st.composite
def varied_axes(draw: st.DrawFn) -> list[Varied]:
    """One to four axes in any order, sometimes with a set of tricks among them."""
    chosen = draw(st.lists(st.sampled_from(range(len(AXES))), min_size=1, max_size=3, unique=True))
    axes = [draw(AXES[number]) for number in chosen]
    if draw(st.booleans()):
        axes.insert(draw(st.integers(0, len(axes))), draw(TRICK_SETS))
    return axes


def trained(here: Mapping[str, Any]) -> Training:
    """What tells one training from another: a head of one layer has no activation."""
    idle = {"head.activation"} if here["head.layers"] == 1 else set()
    return frozenset((path, value) for path, value in here.items() if path not in idle)


def at(axes: Sequence[Varied], point: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings at a point, and the levels of the axes that matter there."""
    here, matter = dict(BASELINE), {}
    # Conditions ask about axes that have none: those are settled first.
    for axis in sorted(axes, key=lambda each: each.conditional):
        if axis.name in point and axis.holds(here):
            here |= axis.levels[point[axis.name]]
            matter[axis.name] = point[axis.name]
    return here, matter


def grid(axes: Sequence[Varied]) -> Iterator[dict[str, str]]:
    for levels in itertools.product(*(axis.levels for axis in axes)):
        yield dict(zip((axis.name for axis in axes), levels, strict=True))


def planned(axes: Sequence[Varied], design: Mapping[str, Any], **fields: Any) -> SweepPlan:  # noqa: ANN401
    """The plan of a sweep file with these axes."""
    data = {
        "name": "drawn",
        "axes": {axis.name: axis.written for axis in axes},
        "design": dict(design),
        **fields,
    }
    file = sweep_of(read_yaml(yaml.safe_dump(data, sort_keys=False), "drawn.yaml"))
    return make_plan(resolve(file.spec, file.source), digests=KnownDigests())


def of_arm(arm: Arm) -> Training:
    """The same of what a plan would train."""
    told = arm.config.model_dump()
    here = {path: told[path.split(".")[0]][path.split(".")[1]] for path in BASELINE}
    return trained(here)


def assert_is_of(plan: SweepPlan, trainings: set[Training], *, seeds: int) -> None:
    """Each training once as an arm, each arm once a seed, every identity once."""
    arms = [of_arm(arm) for arm in plan.arms]
    assert len(arms) == len(set(arms))
    assert set(arms) == trainings
    assert len(plan.trials) == len(trainings) * seeds
    assert len({trial.identity for trial in plan.trials}) == len(plan.trials)
    names = {arm.name for arm in plan.arms}
    for seed in range(seeds):
        of_seed = plan.trials[seed * len(names) : (seed + 1) * len(names)]
        assert {trial.config.seed for trial in of_seed} == {seed}
        assert {trial.arm for trial in of_seed} == names


LOOK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
