"""Metrics of score tables: counts, never means of means; ties are wrong and reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import InputError
from trainer.evaluation.metrics import benchmark_metrics, pair_outcomes, response_scores
from trainer.scores import score_table


def rows(  # columns overwrite those of a plain row
    item: str,
    scores: list[float],
    ranks: list[int],
    **columns: Any,  # noqa: ANN401 -- any cell
) -> list[dict[str, Any]]:
    lengths = columns.pop("lengths", [10] * len(scores))
    base: dict[str, Any] = {
        "benchmark": "validation",
        "split": "validation",
        "item_id": item,
        "group_id": item,
        "category": "",
        "source": "scenes",
        "modality": "image",
        "order": 0,
        "parsed": True,
        "margin": None,
        "label_weight": 1.0,
        "prompt_tokens": 5,
        "response_tokens": 3,
    }
    return [
        base | columns | {"response": i, "score": s, "rank": r, "response_characters": length}
        for i, (s, r, length) in enumerate(zip(scores, ranks, lengths, strict=True))
    ]


def table(*groups: list[dict[str, Any]]) -> pa.Table:
    return score_table([row for group in groups for row in group])


def test_accuracy_counts_pairs_not_batches() -> None:
    right = [rows(f"right-{i}", [1.0, 0.0], [1, 2]) for i in range(4)]
    wrong = [rows("wrong", [0.0, 1.0], [1, 2])]

    metrics = benchmark_metrics(table(*right, *wrong))

    assert metrics["accuracy"] == 0.8
    assert metrics["pairs"] == 5
    assert metrics["margin"] == pytest.approx(0.6)


def test_a_tie_is_wrong_and_reported() -> None:
    metrics = benchmark_metrics(table(rows("a", [1.0, 1.0], [1, 2]), rows("b", [2, 1], [1, 2])))

    assert metrics["accuracy"] == 0.5
    assert metrics["ties"] == 0.5


def test_the_better_response_may_come_second() -> None:
    outcomes = pair_outcomes(table(rows("a", [0.0, 3.0], [2, 1])))

    assert outcomes[["chosen", "rejected", "correct"]].to_numpy().tolist() == [[1, 0, 1]]
    assert outcomes["margin_score"].tolist() == [3.0]


def test_several_responses_make_every_pair_of_different_ranks() -> None:
    outcomes = pair_outcomes(table(rows("a", [3.0, 1.0, 2.0], [1, 2, 2])))

    assert outcomes[["chosen", "rejected"]].to_numpy().tolist() == [[0, 1], [0, 2]]


def test_items_of_different_benchmarks_never_mix() -> None:
    both = table(rows("a", [1.0, 0.0], [1, 2]), rows("a", [0.0, 1.0], [1, 2], benchmark="test"))

    assert pair_outcomes(both)["correct"].tolist() == [1, 0]


def test_categories_and_lengths_are_told_apart() -> None:
    metrics = benchmark_metrics(
        table(
            rows("a", [1.0, 0.0], [1, 2], category="count", lengths=[20, 10]),
            rows("b", [0.0, 1.0], [1, 2], category="count", lengths=[10, 10]),
            rows("c", [1.0, 0.0], [1, 2], category="shape", lengths=[5, 10]),
        )
    )

    assert (metrics["accuracy_category_count"], metrics["pairs_category_count"]) == (0.5, 2)
    assert (metrics["accuracy_category_shape"], metrics["pairs_category_shape"]) == (1.0, 1)
    assert metrics["longer_wins"] == 0.5


def test_a_category_is_not_taken_for_a_source_whatever_it_is_called() -> None:
    metrics = benchmark_metrics(
        table(
            rows("a", [1.0, 0.0], [1, 2], category="source_scenes", source="text"),
            rows("b", [0.0, 1.0], [1, 2], category="category_text", source="scenes"),
        )
    )

    assert metrics["accuracy_category_source_scenes"] == metrics["accuracy_source_text"] == 1
    assert metrics["accuracy_source_scenes"] == metrics["accuracy_category_category_text"] == 0


@given(data=st.data())
def test_sources_and_categories_are_counted_whatever_the_order_of_the_rows(
    data: st.DataObject,
) -> None:
    """Their right pairs add up to those of the whole, and ranks may gather items in any order."""
    items = []
    for n in range(data.draw(st.integers(1, 8))):
        ranks = data.draw(st.sampled_from([[1, 2], [2, 1], [1, 2, 2], [1, 2, 3]]))
        scores = data.draw(
            st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=len(ranks), max_size=len(ranks))
        )
        named = {key: data.draw(st.sampled_from("ab")) for key in ("source", "category")}
        items.append(rows(str(n), scores, ranks, **named))
    metrics = benchmark_metrics(table(*items))
    again = benchmark_metrics(table(*data.draw(st.permutations(items))))

    told = {name: value for name, value in metrics.items() if name != "margin"}
    assert told == {name: again[name] for name in told}
    right = metrics["accuracy"] * metrics["pairs"]
    for prefix in ("source_", "category_"):
        names = [f"{prefix}{name}" for name in "ab" if f"pairs_{prefix}{name}" in metrics]
        counts = [metrics[f"pairs_{name}"] for name in names]
        assert sum(counts) == metrics["pairs"]
        by_slice = [metrics[f"accuracy_{name}"] for name in names]
        assert np.dot(counts, by_slice) == pytest.approx(right)


def test_the_text_alone_is_told_on_the_same_pairs() -> None:
    """Items without images are scored alike without the right images, so they stay as they are."""
    seen = [rows("a", [1.0, 0.0], [1, 2]), rows("b", [1.0, 0.0], [1, 2])]
    read = [rows("c", [0.0, 1.0], [1, 2], modality="text")]
    blind = [
        rows("a", [0.0, 2.0], [1, 2], benchmark="validation_text_only"),
        rows("b", [3.0, 2.0], [1, 2], benchmark="validation_text_only"),
    ]

    metrics = benchmark_metrics(table(*seen, *read), twin=table(*blind))

    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["baseline_text_only"] == pytest.approx(1 / 3)
    assert "baseline_text_only" not in benchmark_metrics(table(*seen))


def test_a_judge_is_averaged_over_both_orders_and_its_bias_told() -> None:
    # Shown first, a response gains 2: both orders are needed to see that the first is better.
    judged = table(
        rows("a", [2.5, 0.0], [1, 2], order=0),
        rows("a", [0.5, 2.0], [1, 2], order=1),
    )

    metrics = benchmark_metrics(judged)

    assert response_scores(judged)["score"].tolist() == [1.5, 1.0]
    assert metrics["accuracy"] == 1.0
    assert metrics["position_bias"] == 0.5
    assert metrics["parsed"] == 1.0


def test_a_judge_without_bias_has_none() -> None:
    judged = table(rows("a", [2.0, 1.0], [1, 2], order=0), rows("a", [2.0, 1.0], [1, 2], order=1))

    assert benchmark_metrics(judged)["position_bias"] == 0.0
    assert benchmark_metrics(judged)["position_consistency"] == 1.0


def test_an_undecided_judge_leans_to_no_side() -> None:
    undecided = table(
        rows("a", [1.0, 1.0], [1, 2], order=0), rows("a", [1.0, 0.0], [1, 2], order=1)
    )

    metrics = benchmark_metrics(undecided)

    assert metrics["position_bias"] == -0.25
    assert metrics["position_consistency"] == 0.0


def test_a_table_without_a_preference_has_no_accuracy() -> None:
    with pytest.raises(InputError, match="no accuracy"):
        benchmark_metrics(table(rows("a", [1.0, 0.0], [1, 1])))
