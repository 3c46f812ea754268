"""Pydantic's errors become findings people can act on, wherever in the settings they are."""

# ruff: noqa: E501 -- one case per line reads best
from __future__ import annotations

import string
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from infra.findings import (
    Finding,
    InvalidSettings,
    described,
    dotted,
    hint,
    nearest,
    validate,
)
from infra.frozen import Frozen


class Round(Frozen):
    """A shape with a size."""

    kind: Literal["round"] = "round"
    radius: Annotated[float, Field(gt=0)] = 1


class Square(Frozen):
    """Another one."""

    kind: Literal["square"] = "square"
    side: int = 1


class Box(Frozen):
    """Everything a setting can be."""

    name: str
    shape: Annotated[Round | Square, Field(discriminator="kind")] = Round()
    inner: Round = Round()
    either: Round | list[int] = Field(default_factory=list)
    table: dict[str, Round] = Field(default_factory=dict)
    value: bool | int | float | str | None = None
    colour: Literal["red", "green"] = "red"
    sizes: tuple[int, ...] = ()


def findings(data: Any) -> list[str]:  # noqa: ANN401 -- any settings
    with pytest.raises(InvalidSettings) as caught:
        validate(Box, data)
    return [f"{dotted(each.location)}: {each.message}" for each in caught.value.findings]


def test_what_fits_is_the_model() -> None:
    box = validate(Box, {"name": "a", "either": [1], "sizes": [1, 2], "inner": {"radius": 2}})

    assert box == Box(name="a", either=[1], sizes=(1, 2), inner=Round(radius=2))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"nam": "a"}, "nam: unknown key 'nam'; did you mean 'name'?"),
        ({"inner": {"radus": 1}}, "inner.radus: unknown key 'radus'; did you mean 'radius'?"),
        ({"table": {"x": {"y": 1}}}, "table.x.y: unknown key 'y'; known: kind, radius"),
        ({"shape": {"kind": "square", "sid": 1}}, "shape.sid: unknown key 'sid'; did you mean 'side'?"),
        ({"shape": {"kind": "sqare"}}, "shape: expected 'round', 'square', came the text 'sqare'; did you mean 'square'?"),
        ({"shape": {}}, "shape: expected a mapping with the key 'kind'"),
        ({"shape": 3}, "shape: expected a mapping, came the number 3"),
        ({"either": {"radius": 0}}, "either.radius: expected a number above 0.0, came the number 0"),
        ({"either": [1, "b"]}, "either[1]: expected a whole number, came the text 'b'"),
        ({"either": "b"}, "either: expected a mapping or a list, came the text 'b'"),
        ({"value": []}, "value: expected a single value (text, a number, true, false or null), came an empty list"),
        ({"colour": "gren"}, "colour: expected 'red' or 'green', came the text 'gren'; did you mean 'green'?"),
        ({"sizes": [1, True]}, "sizes[1]: expected a whole number, came true"),
        ({"sizes": 1}, "sizes: expected a list, came the number 1"),
        ({"name": None}, "name: expected text, came nothing (null)"),
        ({"inner": {"radius": "1"}}, "inner.radius: expected a number, came the text '1'"),
    ],
)  # fmt: skip
def test_each_problem_says_what_was_expected_what_came_and_what_to_do(
    settings: dict[str, Any], expected: str
) -> None:
    assert findings({"name": "a", **settings}) == [expected]


def test_a_missing_key_and_no_mapping_at_all_are_named() -> None:
    assert findings({}) == ["name: expected a value, but the key is missing"]
    assert findings(3) == [": expected a mapping, came the number 3"]


def test_values_that_json_does_not_know_are_refused() -> None:
    assert "expected plain values" in findings({"name": {1, 2}})[0]
    assert "expected plain values" in findings({"name": float("nan")})[0]


def test_a_finding_can_be_seen_from_further_out() -> None:
    finding = Finding(("layers", 2), "too many").under("axes", "head.layers")

    assert dotted(finding.location) == "axes.head.layers.layers[2]"


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("sede", ["seed", "data"], "seed"),
        ("SEED", ["seed", "data"], "seed"),
        ("learning_rate", ["strategy.learning_rate", "head.layers"], "strategy.learning_rate"),
        ("lerning_rate", ["strategy.learning_rate", "head.layers"], "strategy.learning_rate"),
        ("head.layer", ["head.layers", "head"], "head.layers"),
        ("quite different", ["seed", "data"], None),
        ("anything", [], None),
    ],
)
def test_the_nearest_name_is_the_one_most_likely_meant(
    name: str, names: list[str], expected: str | None
) -> None:
    assert nearest(name, names) == expected


def test_few_names_are_listed_and_many_are_not() -> None:
    assert hint("xyz", ["a", "b"]) == "; known: a, b"
    assert hint("xyz", [f"{letter}{letter}" for letter in string.ascii_letters[:30]]) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "nothing (null)"),
        (True, "true"),
        (1.5, "the number 1.5"),
        ("text", "the text 'text'"),
        ([], "an empty list"),
        ([1, 2], "a list of 2"),
        ({}, "an empty mapping"),
        ({"a": 1, "b": 2}, "a mapping (a, b)"),
    ],
)
def test_values_are_called_what_a_reader_calls_them(value: object, expected: str) -> None:
    assert described(value) == expected


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*Box.model_fields, "kind", "radius"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_value_is_the_model_or_located_inside_what_came(data: object) -> None:
    for finding in _findings_or_none(data):
        here: Any = data
        for part in finding.location[:-1]:
            here = here[part]


def _findings_or_none(data: object) -> tuple[Finding, ...]:
    try:
        validate(Box, data)
    except InvalidSettings as error:
        return error.findings
    return ()
