"""Conditions hold when they should, can do nothing else, and say where they are wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.findings import InvalidSettings
from search_spaces.condition_parser import DEEPEST, LONGEST, parse_condition
from search_spaces.conditions import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    Name,
    Node,
    Not,
    Value,
    both,
)

VALUES: dict[str, Value] = {
    "head.layers": 2,
    "paradigm": "scalar",
    "strategy.freeze.vision": True,
    "machine.micro_batch_pairs": None,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("head.layers >= 2", True),
        ("head.layers > 2", False),
        ("head.layers < 2.5", True),
        ("head.layers <= 1", False),
        ("2 == head.layers", True),
        ("head.layers != 2", False),
        ("head.layers in [1, 2]", True),
        ("head.layers not in [1, 2]", False),
        ("paradigm == 'scalar'", True),
        ('paradigm in ["critic", "generative"]', False),
        ("strategy.freeze.vision", True),
        ("not strategy.freeze.vision", False),
        ("strategy.freeze.vision == true and head.layers == 1", False),
        ("head.layers == 1 or head.layers == 2 and paradigm == 'scalar'", True),
        ("(head.layers == 1 or head.layers == 2) and paradigm == 'critic'", False),
        ("machine.micro_batch_pairs == null", True),
        ("machine.micro_batch_pairs >= 1", False),
        ("machine.micro_batch_pairs < 1", False),
        ("not not (head.layers == 2)", True),
        ("strategy.freeze.vision == 1", False),
        ("paradigm >= 1", False),
    ],
)
def test_a_condition_holds_when_it_should(text: str, expected: bool) -> None:
    assert parse_condition(text).holds(VALUES) is expected


def test_a_condition_names_what_it_asks_about_once_and_in_order() -> None:
    condition = parse_condition("b.c > 1 and (a in [1] or not b.c == 2)")

    assert condition.names() == ("b.c", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a setting, a number, quoted text or a list at character 1"),
        ("head.layers >=", "at character 15 of 'head.layers >=', came the end"),
        ("head.layers = 2", "at character 13 of 'head.layers = 2', came '= 2'"),
        ("2", "expected a comparison such as head.layers >= 2"),
        ("a == b == c", "expected 'and', 'or' or the end at character 8"),
        ("a in [b]", "expected a value; quote text as 'b'"),
        ("a in [1 2]", "expected ','"),
        ("(a == 1", "expected ')'"),
        ("a not 1", "expected 'in'"),
        ("a == 'b", "came ''b'"),
        ("a()", "came '('"),
        ("a; b", "came '; b'"),
        ("__import__('os').system('true')", "came '.system('t'"),
        ("a == 1 " * 100, f"expected at most {LONGEST} characters"),
        ("(" * 100, f"expected at most {DEEPEST} parentheses"),
        ("not " * 100 + "a", f"expected at most {DEEPEST} parentheses"),
    ],
)
def test_what_is_no_condition_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        parse_condition(text)

    assert message in caught.value.findings[0].message


def test_two_conditions_joined_hold_when_both_do_and_say_each_part_once() -> None:
    first = parse_condition("head.layers >= 2 and paradigm != 'critic'")
    second = parse_condition("paradigm != 'critic'")

    assert str(both(first, second)) == "head.layers >= 2 and paradigm != 'critic'"
    assert both(None, second) == second
    assert both(first, None) == first
    assert both(None, None) is None


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidSettings):
        parse_condition(text)


NAMES = st.sampled_from(sorted(VALUES)).map(Name)
CONSTANTS = st.one_of(
    st.integers(-3, 3), st.sampled_from(["scalar", "critic", "it's"]), st.booleans(), st.none()
)
COMPARISONS = st.one_of(
    st.builds(
        Comparison,
        NAMES,
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.builds(Constant, CONSTANTS),
    ),
    st.builds(
        Comparison,
        NAMES,
        st.sampled_from(["in", "not in"]),
        st.builds(Constant, st.lists(CONSTANTS, max_size=3).map(tuple)),
    ),
)
TREES: st.SearchStrategy[Node] = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(All, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@given(TREES)
@settings(max_examples=100)
def test_a_condition_written_out_is_read_as_the_same_condition(tree: Node) -> None:
    condition = Condition(tree)

    again = parse_condition(str(condition))

    assert str(again) == str(condition)
    assert again.holds(VALUES) == condition.holds(VALUES)
