"""Whatever axes and design a sweep has, it is planned or refused; most of these are planned."""

from __future__ import annotations

import contextlib
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import SpecError
from infra.yaml_source import read_yaml
from sweep.engine.planning.plan import make_plan
from sweep.spec.load import sweep_of
from sweep.spec.resolve import resolve
from tests.engine.known_digests import KnownDigests
from tests.spec.test_any_input import SCALARS

NUMBERS = st.one_of(st.integers(-2, 9), st.floats(-1, 5), st.sampled_from([0, 1e-5, 1e300]))
NAMES = st.lists(st.sampled_from(["scenes", "digits", "text", "a"]), max_size=3, unique=True)
WHEN = {"when": st.sampled_from(["head.layers > 1", "scale == 'xs'", "mine", "not"])}
PATCHES = st.dictionaries(
    st.sampled_from("ab"),
    st.dictionaries(st.sampled_from(["head.layers", "data.pairs", "x"]), NUMBERS, max_size=2),
    max_size=2,
)
WAYS = st.one_of(
    st.fixed_dictionaries({"levels": st.lists(SCALARS, max_size=3) | PATCHES}, optional=WHEN),
    st.fixed_dictionaries(
        {"low": NUMBERS, "high": NUMBERS},
        optional={"log": st.booleans(), "steps": st.integers(-1, 10**7), **WHEN},
    ),
    st.fixed_dictionaries({"members": NAMES | PATCHES}, optional={"always": NAMES, **WHEN}),
    st.fixed_dictionaries(
        {"mixture": NAMES}, optional={"least": NUMBERS, "steps": st.integers(-1, 50), **WHEN}
    ),
)
SOURCES = st.lists(
    st.sampled_from(["scenes", "digits", "text"]), min_size=2, max_size=3, unique=True
)
STEPS = st.integers(2, 4)
LIKELY: dict[str, st.SearchStrategy[Any]] = {
    "head.layers": st.one_of(
        st.lists(st.integers(1, 5), min_size=2, max_size=3, unique=True),
        st.fixed_dictionaries({"low": st.just(1), "high": st.integers(3, 5), "steps": STEPS}),
    ),
    "strategy.learning_rate": st.one_of(
        st.lists(st.sampled_from([1e-4, 1e-3, 1e-2]), min_size=2, unique=True),
        st.fixed_dictionaries(
            {"low": st.just(1e-4), "high": st.floats(2e-3, 0.1), "steps": STEPS},
            optional={"log": st.booleans(), "when": st.just("head.layers >= 2")},
        ),
    ),
    "data_mix": st.one_of(
        st.fixed_dictionaries({"members": SOURCES, "always": st.just(["scenes"])}),
        st.fixed_dictionaries({"members": SOURCES}),
        st.fixed_dictionaries(
            {"mixture": SOURCES, "steps": STEPS}, optional={"least": st.floats(0, 0.3)}
        ),
    ),
    "scale": st.just(["xs", "s"]),
    "mine": st.just({"levels": {"a": {}, "b": {"strategy.weight_decay": 0.5}}}),
}
"""By axis, what is right as it stands; whether it is so beside the others, nobody knows here."""
WILD_AXES = st.dictionaries(st.sampled_from(sorted(LIKELY)), WAYS, min_size=1, max_size=3)
LIKELY_AXES = st.lists(
    st.sampled_from(sorted(LIKELY)), min_size=1, max_size=3, unique=True
).flatmap(lambda names: st.fixed_dictionaries({name: LIKELY[name] for name in names}))
LISTING = ["grid", "one_factor", "leave_one_out", "add_one_in"]
DESIGNS = st.one_of(
    st.fixed_dictionaries({"kind": st.sampled_from(LISTING)}),
    st.fixed_dictionaries(
        {"kind": st.just("fractional")}, optional={"resolution": st.integers(2, 7)}
    ),
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["random", "latin_hypercube"])},
        optional={"points": st.integers(0, 9)},
    ),
    st.fixed_dictionaries({"kind": st.just("tpe")}, optional={"trials": st.integers(0, 9)}),
)
EXCLUDED = st.lists(
    st.dictionaries(
        st.sampled_from(["head.layers", "data_mix", "scale", "mine"]),
        SCALARS | st.lists(SCALARS, max_size=2) | st.sampled_from(["xs", "a", 2]),
        max_size=2,
    ),
    max_size=2,
)
RULES = st.lists(
    st.sampled_from(["head.layers < 3", "scale != 'xs'", "mine == 1", "data_mix == 'all'", "("]),
    max_size=2,
)
ASKED = st.sampled_from([True, True, True, False]).flatmap(
    lambda likely: st.fixed_dictionaries(
        {"axes": LIKELY_AXES if likely else WILD_AXES, "design": DESIGNS},
        optional={} if likely else {"constraints": RULES, "exclude": EXCLUDED},
    )
)
"""Mostly what is planned: what is refused says nothing of plans."""


@given(asked=ASKED)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_axes_and_design_are_planned_or_refused(asked: dict[str, Any]) -> None:
    data = {"name": "fuzzed", **asked}
    text = yaml.safe_dump(data, allow_unicode=True)

    with contextlib.suppress(SpecError):
        file = sweep_of(read_yaml(text, "fuzzed.yaml"))
        plan = make_plan(resolve(file.spec, file.source), digests=KnownDigests())
        assert plan.arms
        assert len({trial.identity for trial in plan.trials}) == len(plan.trials)
