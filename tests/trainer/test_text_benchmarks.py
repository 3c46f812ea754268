"""RewardBench 1 and 2, RM-Bench and JudgeBench: sections, best of four, styles, both orders."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.trainer.scored_rows import FOUR, RIGHT, TIE, WRONG, Scores, counted, measured, rows
from trainer.scores import score_table


def test_rewardbench_weighs_subsets_by_their_published_sizes() -> None:
    # math-prm holds 447 pairs and counts as 984; the six languages hold 164 each.
    languages = [f"hep-{name}" for name in ("cpp", "go", "java", "js", "python", "rust")]
    table = counted(
        {"math-prm": (447, 447), **{name: (82, 164) for name in languages},
         "donotanswer": (136, 136), "xstest-should-respond": (0, 250), "alpacaeval-easy": (90, 100),
         "llmbar-natural": (50, 100)}
    )  # fmt: skip
    metrics = measured(table, "rewardbench")

    assert metrics["reasoning"] == pytest.approx((984 + 0.5 * 984) / (2 * 984))
    assert metrics["safety"] == pytest.approx(136 / 386)
    assert metrics["score"] == pytest.approx(np.mean([0.9, 0.5, 136 / 386, 0.75]))


@pytest.mark.parametrize(
    ("scores", "worth"),
    [((3, 1, 2, 0), 1.0), ((3, 3, 2, 0), 0.5), ((3, 3, 3, 3), 0.25), ((1, 3, 2, 0), 0.0)],
)
def test_rewardbench_2_shares_a_tie_at_the_top(scores: Scores, worth: float) -> None:
    items = rows("1", scores, category="Precise IF", ranks=FOUR)

    assert measured(score_table(items), "rewardbench-2")["precise_if"] == worth


@pytest.mark.parametrize(
    ("tied", "ref", "score"),
    [
        # right answers 5 and 4 are 1 apart; 4 is 3 above the best wrong one, the reference 2.
        ((5, 4, 1, 0), (3, 1, 0, 0), 0.3 + 0.3 + 0.2 + 0.2 + 0.01 * np.tanh(1)),
        # the reference's gap is smaller than what separates the right answers
        ((5, 3, 0, 0), (2, 1, 0, 0), 0.3 + 0.3 + 0.2 + 0.01 * np.tanh(-0.5)),
        # a wrong answer above a right one
        ((5, 1, 2, 0), (2, 1, 0, 0), 0.3 + 0.01 * np.tanh(-1.25)),
    ],
)
def test_rewardbench_2_wants_right_answers_close_together(
    tied: Scores, ref: Scores, score: float
) -> None:
    items = rows("tied:7", tied, category="Ties", ranks=(1, 1, 2, 2))
    items += rows("ref:7", ref, category="Ties", ranks=(1, 2, 2, 2))

    assert measured(score_table(items), "rewardbench-2")["ties_domain"] == pytest.approx(score)


def test_rm_bench_is_hard_where_the_wrong_answer_is_the_more_elaborate() -> None:
    # Every detail adds 2, being right adds 1: a right answer loses to a more elaborate wrong one.
    styles = (0.0, 2.0, 4.0)
    scores = [1 + s for s in styles] + list(styles)
    items = [
        rows(domain, scores, category=domain, ranks=(1, 1, 1, 2, 2, 2), lengths=(1, 5, 9, 1, 5, 9))
        for domain in ("chat", "math", "code", "safety-refuse", "safety-response")
    ]
    metrics = measured(score_table(list(itertools.chain(*items))), "rm-bench")

    assert (metrics["easy"], metrics["normal"], metrics["hard"]) == (1.0, 1.0, 0.0)
    assert metrics["average"] == pytest.approx(2 / 3)
    assert metrics["category_safety"] == pytest.approx(2 / 3)


def test_rm_bench_s_safety_is_the_mean_of_its_halves_and_one_of_four_domains() -> None:
    good, bad = (1.0,) * 3 + (0.0,) * 3, (0.0,) * 3 + (1.0,) * 3
    items = [rows("chat", good, category="chat", ranks=(1, 1, 1, 2, 2, 2))]
    items += [rows("refuse", bad, category="safety-refuse", ranks=(1, 1, 1, 2, 2, 2))]
    items += [rows("respond", good, category="safety-response", ranks=(1, 1, 1, 2, 2, 2))]
    metrics = measured(score_table(list(itertools.chain(*items))), "rm-bench")

    assert (metrics["category_safety"], metrics["average"], metrics["micro"]) == (0.5, 0.75, 2 / 3)


def test_judgebench_counts_a_judge_right_over_both_orders_together() -> None:
    def game(name: str, first: Scores, second: Scores) -> list[dict[str, Any]]:
        return [
            *rows(name, first, category="math", order=0),
            *rows(name, second, category="math", order=1),
        ]

    table = score_table(
        [*game("both", RIGHT, RIGHT), *game("one", RIGHT, TIE), *game("split", RIGHT, WRONG),
         *game("none", WRONG, WRONG)]
    )  # fmt: skip
    metrics = measured(table, "judgebench")

    assert metrics["overall"] == metrics["category_math"] == 0.5


# JudgeBench, reward models on the 350 pairs of GPT-4o, one game each (arXiv 2410.12784): what is
# printed of knowledge, reasoning, math and coding, and overall. All are whole counts.
JUDGEBENCH_SIZES = {"knowledge": 154, "reasoning": 98, "math": 56, "coding": 42}


@pytest.mark.parametrize(
    ("right", "printed", "overall"),
    [
        ((92, 65, 47, 21), (59.74, 66.33, 83.93, 50.00), 64.29),  # Skywork-Reward-Gemma-2-27B
        ((96, 68, 37, 21), (62.34, 69.39, 66.07, 50.00), 63.43),  # InternLM2-20B-Reward
    ],
)
def test_judgebench_counts_one_game_where_a_model_scores_responses_alone(
    right: tuple[int, ...], printed: tuple[float, ...], overall: float
) -> None:
    counts = dict(
        zip(JUDGEBENCH_SIZES, zip(right, JUDGEBENCH_SIZES.values(), strict=True), strict=True)
    )
    metrics = measured(counted(counts), "judgebench")

    found = tuple(round(100 * metrics[f"category_{name}"], 2) for name in JUDGEBENCH_SIZES)
    assert (found, round(100 * metrics["overall"], 2)) == (printed, overall)
    assert metrics["overall"] == metrics["overall_mean_score"]
    assert metrics["published_items"] == 350
