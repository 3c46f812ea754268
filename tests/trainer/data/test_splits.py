"""A group's split follows from its name; rows tied by any chain are one group."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.splits import connected_groups, split_of

names = st.text("abcdef", min_size=1, max_size=1)
rows = st.lists(st.lists(names, min_size=1, max_size=3), max_size=12)


def test_eighty_ten_ten() -> None:
    counts = Counter(split_of(f"group {number}") for number in range(20_000))

    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.01)
    assert counts["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert counts["test"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_no_group_has_ever_moved() -> None:
    assert [split_of(f"group {number}") for number in (0, 1, 2, 3, 4, 5)] == [
        "train",
        "train",
        "test",
        "train",
        "train",
        "train",
    ]


def test_another_salt_is_another_partition() -> None:
    moved = sum(split_of(f"{n}") != split_of(f"{n}", salt="x") for n in range(2000))

    # Two independent 80/10/10 partitions agree in 66 % of cases.
    assert moved / 2000 == pytest.approx(0.34, abs=0.05)


@given(rows)
def test_rows_that_share_a_name_are_in_one_group(ties: list[list[str]]) -> None:
    groups = connected_groups(ties)

    for one, group in zip(ties, groups, strict=True):
        for other, other_group in zip(ties, groups, strict=True):
            if set(one) & set(other):
                assert group == other_group


@given(rows)
def test_groups_are_no_larger_than_chains_of_shared_names(ties: list[list[str]]) -> None:
    groups = connected_groups(ties)

    for group in set(groups):
        members = [set(tie) for tie, name in zip(ties, groups, strict=True) if name == group]
        reached = members.pop(0)
        while joining := [member for member in members if member & reached]:
            reached |= joining[0]
            members.remove(joining[0])
        assert members == []
        assert group == min(reached)


@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(ties: list[list[str]], random: object) -> None:
    order = list(range(len(ties)))
    random.shuffle(order)  # type: ignore[attr-defined]
    groups = connected_groups(ties)

    assert connected_groups([ties[place] for place in order]) == [groups[place] for place in order]


def test_a_row_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        connected_groups([["a"], []])
