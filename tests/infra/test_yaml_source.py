"""YAML is read as editors read it, every value knows its line, and nothing odd gets through."""

from __future__ import annotations

import pytest

from infra.errors import SpecError
from infra.findings import Finding
from infra.yaml_source import (
    DEEPEST,
    MOST_CHARACTERS,
    MOST_VALUES,
    Source,
    read_value,
    read_yaml,
)


def test_scalars_follow_the_core_schema_that_editors_assume() -> None:
    text = """
rate: 1e-3
big: 1e4
whole: 3.0
half: .5
yes_is_text: yes
time_is_text: 12:30
date_is_text: 2024-01-01
leading_zero: 010
hexadecimal: 0x10
nothing: ~
empty:
truth: true
quoted: "1e-3"
"""
    assert read_yaml(text, "file").data == {
        "rate": 0.001,
        "big": 10000,
        "whole": 3,
        "half": 0.5,
        "yes_is_text": "yes",
        "time_is_text": "12:30",
        "date_is_text": "2024-01-01",
        "leading_zero": 10,
        "hexadecimal": 16,
        "nothing": None,
        "empty": None,
        "truth": True,
        "quoted": "1e-3",
    }


def test_integral_numbers_are_whole_numbers_as_they_are_in_identities() -> None:
    value = read_value("1.0e4", "value")

    assert isinstance(value, int)


def test_every_key_and_entry_knows_its_line() -> None:
    source = read_yaml("a:\n  b.c:\n    - 1\n    - 2\nd: {e: 3}\n", "file").source

    assert source.lines[("a",)] == 1
    assert source.lines[("a", "b.c")] == 2
    assert source.lines[("a", "b.c", 1)] == 4
    assert source.lines[("d", "e")] == 5


def test_a_problem_below_a_value_names_the_nearest_line() -> None:
    source = read_yaml("a:\n  b: 1\n", "file").source

    problem = source.problem(Finding(("a", "b", "missing"), "expected more"))

    assert str(problem) == "line 2, a.b.missing: expected more"


def test_problems_come_in_the_order_of_their_lines_and_once() -> None:
    source = Source(name="file", lines={("a",): 2, ("b",): 1})

    error = source.error([Finding(("a",), "x"), Finding(("b",), "y"), Finding(("a",), "x")])

    assert [problem.line for problem in error.problems] == [1, 2]


def test_all_duplicate_keys_are_named_at_once_with_both_lines() -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml("a: 1\nb: {c: 1, c: 2}\na: 3\n", "file")

    assert [str(problem) for problem in caught.value.problems] == [
        "line 2, b.c: the key stands here and on line 2; keep one",
        "line 3, a: the key stands here and on line 1; keep one",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a:\n\t- b", "line 2, not readable as YAML: a tab stands", id="tab"),
        pytest.param("", "line 1, expected a mapping of settings", id="empty"),
        pytest.param("# nothing\n", "came an empty file", id="only-comments"),
        pytest.param("- a", "came a list at the top", id="list"),
        pytest.param("just text", "came a str at the top", id="text"),
        pytest.param("a: 1\n---\nb: 2", "came a second one", id="two-documents"),
        pytest.param("a: [1, 2", "line 1, not readable as YAML", id="unclosed"),
        pytest.param("a: *b", "undefined alias", id="unknown-alias"),
        pytest.param("a: &x [*x]", "an anchor holds itself", id="cycle"),
        pytest.param("a: .inf", "expected a finite number", id="infinity"),
        pytest.param("a: .nan", "expected a finite number", id="nan"),
        pytest.param("a: 1e999", "expected a finite number", id="overflow"),
        pytest.param(f"a: {'9' * 5000}", "expected a finite number", id="huge-number"),
        pytest.param("a: 9223372036854775808", "below 2^63", id="too-large-for-a-database"),
        pytest.param("a: !!python/object x", "means nothing here", id="python-tag"),
        pytest.param("a: !!set {b}", "means nothing here", id="set-tag"),
        pytest.param("a: !!int b", "expected a number, came 'b'", id="not-the-tagged-type"),
        pytest.param("a: !!bool maybe", "expected true or false", id="not-a-boolean"),
        pytest.param("a: {<<: {b: 1}}", "merge keys (<<) are not read", id="merge-key"),
        pytest.param("? [a]\n: 1\n", "expected plain text as a key", id="list-as-key"),
        pytest.param('a: "\\ud800"', "half a character", id="lone-surrogate"),
        pytest.param('a: "\\UFFFFFFFF"', "not readable as YAML", id="no-such-character"),
        pytest.param("a: \x00", "not readable as YAML", id="control-character"),
        pytest.param(f"a: {'[' * 60}{']' * 60}", f"deeper than {DEEPEST}", id="deep"),
        pytest.param(f"a: {'[' * 1000}", f"deeper than {DEEPEST}", id="very-deep"),
        pytest.param("#" * (MOST_CHARACTERS + 1), "expected at most", id="huge"),
    ],
)
def test_what_is_no_mapping_of_plain_values_is_refused(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_yaml(text, "file")

    assert message in str(caught.value)


def test_anchors_that_multiply_are_cut_off() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]

    with pytest.raises(SpecError, match=f"at most {MOST_VALUES} values"):
        read_yaml("\n".join(lines), "file")


def test_an_anchor_may_be_used_twice() -> None:
    document = read_yaml("a: &weights {scenes: 1}\nb: *weights\n", "file")

    assert document.data["b"] == {"scenes": 1}
    assert document.data["a"] is not document.data["b"]
