"""Each method does what its paper says, on panels whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from analysis.ensembles.averages import (
    accuracy_weighted,
    average,
    majority,
    margin_weighted,
    probability_average,
    uncertainty_weighted,
    worst_case,
    z_average,
)
from analysis.ensembles.greedy import bagged_weights, greedy_weights
from analysis.ensembles.methods import METHODS, check_method
from analysis.ensembles.panel import Panel, outcomes
from analysis.ensembles.routing import routing
from analysis.ensembles.stacking import stacking
from analysis.statistics.components import Floats
from analysis.statistics.paired import Convention
from infra.errors import InputError
from tests.analysis.ensembles.made_panels import made_panel, panel_of, panels
from tests.analysis.ensembles.method_contract import MethodContract
from trainer.members.combining import Combiner
from trainer.members.member_scores import used


class TestSingle(MethodContract):
    name = "single"


class TestAverage(MethodContract):
    name = "average"
    ignores_units = False


class TestAccuracyWeighted(MethodContract):
    name = "accuracy_weighted"
    ignores_units = False


class TestMarginWeighted(MethodContract):
    name = "margin_weighted"
    ignores_units = False


class TestZAverage(MethodContract):
    name = "z_average"


class TestRankAverage(MethodContract):
    name = "rank_average"


class TestProbability(MethodContract):
    name = "probability"


class TestMajority(MethodContract):
    name = "majority"


class TestWorstCase(MethodContract):
    name = "worst_case"


class TestUncertaintyWeighted(MethodContract):
    name = "uncertainty_weighted"


class TestGreedy(MethodContract):
    name = "greedy"


class TestStacking(MethodContract):
    name = "stacking"


class TestRouted(MethodContract):
    name = "routed"


def test_every_method_has_its_contract() -> None:
    tested = {cls.name for cls in MethodContract.__subclasses__()}

    assert tested == set(METHODS)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(panel=panels())
def test_any_panel_gives_finite_scores_some_weight_and_the_same_again(
    name: str, panel: Panel
) -> None:
    for fit in METHODS[name](panel):
        combiner = fit(panel)

        assert np.isfinite(combiner.scores(panel.scores, panel.responses)).all()
        assert used(combiner.rule.weights).any()
        assert Combiner.model_validate_json(combiner.model_dump_json()) == combiner
        assert fit(panel) == combiner


def test_the_papers_average_is_the_mean_of_raw_scores() -> None:
    panel = made_panel([0.5, 0.6], scales=[1.0, 7.0])

    scores = average(panel, size=2).scores(panel.scores, panel.responses)

    assert scores == pytest.approx(panel.scores.mean(axis=0))


def test_the_papers_weights_are_accuracies_and_mean_margins_that_sum_to_one() -> None:
    panel = made_panel([0.5, 0.8, 1.5])
    accuracies = panel.accuracies
    margins = panel.margins(panel.scores).mean(axis=1)

    by_accuracy = accuracy_weighted(panel, size=3).rule.weights
    by_margin = margin_weighted(panel, size=3).rule.weights

    assert by_accuracy == pytest.approx(accuracies / accuracies.sum())
    assert by_margin == pytest.approx(margins / margins.sum())


def test_a_member_with_large_scores_outvotes_the_others_only_in_the_raw_average() -> None:
    panel = made_panel([0.5, 0.5, 3.0], scales=[1.0, 1.0, 1000.0])
    loud = panel.right(panel.scores[2])

    raw = outcomes(panel.combined(average(panel, size=3)), "ties are wrong")
    fair = outcomes(panel.combined(z_average(panel, size=3)), "ties are wrong")

    assert (raw == loud).mean() > 0.99
    assert fair.mean() > raw.mean() + 0.05


def test_the_worst_case_is_the_lowest_z_score() -> None:
    panel = made_panel([0.5, 0.8, 1.5])
    normal = [one.apply(row) for one, row in zip(panel.z_scores, panel.scores, strict=True)]

    scores = worst_case(panel, size=3).scores(panel.scores, panel.responses)

    assert scores == pytest.approx(np.min(normal, axis=0))


def test_uncertainty_takes_the_variance_between_members_from_their_mean() -> None:
    panel = made_panel([0.5, 0.8, 1.5])
    normal = np.array(
        [one.apply(row) for one, row in zip(panel.z_scores, panel.scores, strict=True)]
    )

    scores = uncertainty_weighted(panel, size=3, coefficient=0.5).scores(
        panel.scores, panel.responses
    )

    assert scores == pytest.approx(normal.mean(axis=0) - 0.5 * normal.var(axis=0))


def test_probabilities_are_averaged_after_each_member_is_calibrated() -> None:
    panel = made_panel([0.5, 0.8], scales=[1.0, 50.0])
    units = np.array(panel.temperatures)[:, None]

    scores = probability_average(panel, size=2).scores(panel.scores, panel.responses)

    expected = expit(panel.margins(panel.scores) / units).mean(axis=0)
    assert scores[panel.chosen] == pytest.approx(expected)
    assert scores[panel.rejected] == pytest.approx(1 - expected)


def test_two_votes_beat_one_however_loud_and_a_drawn_vote_follows_the_mean() -> None:
    votes = np.array([[1.0, 0, 0.1, 0], [1.0, 0, 0, 3.0], [0, 50.0, 1.0, 0]])
    panel = panel_of(votes)

    scores = majority(panel, size=3).scores(panel.scores, panel.responses)
    assert panel.margins(scores)[0] > 0

    drawn = panel_of(np.array([[1.0, 0, 0.2, 0, 1.0, 0], [0, 0.1, 2.0, 0, 2.0, 0]]))
    combiner = majority(drawn, size=2)
    normal = combiner.normalized(drawn.scores)
    margins = drawn.combined(combiner)
    assert np.sign(margins[0]) == np.sign(drawn.margins(normal).mean(axis=0)[0])


def test_routing_gives_each_kind_the_member_that_is_good_at_it() -> None:
    generator = np.random.default_rng(0)
    pairs = 200
    kinds = [("a", "b")[pair % 2] for pair in range(pairs)]
    scores = generator.normal(0, 1, (2, 2 * pairs))
    for member, kind in enumerate("ab"):
        mine = np.array(kinds) == kind
        scores[member, 0::2][mine] += 2.5
    panel = panel_of(scores, kinds=kinds)

    routed = panel.combined(routing(panel, by="category", size=1)) > 0
    together = panel.combined(z_average(panel, size=2)) > 0

    assert routed.mean() > together.mean() + 0.03


def test_a_route_chosen_greedily_is_not_worse_on_its_kind_than_the_best_member() -> None:
    generator = np.random.default_rng(19)
    pairs = 200
    kinds = [("a", "b")[pair % 2] for pair in range(pairs)]
    truth = np.stack([generator.normal(0.6, 1, pairs), np.zeros(pairs)], axis=1)
    scores = []
    for units, noise in (((1.0, 1.0), 0.6), ((1.0, 40.0), 1.5), ((40.0, 1.0), 0.7)):
        unit = np.resize(units, pairs)[:, None]  # a member may tell kinds apart by its unit alone
        scores.append(((truth + noise * generator.normal(0, 1, truth.shape)) * unit).ravel())
    panel = panel_of(np.array(scores), kinds=kinds)

    routed = panel.combined(routing(panel, by="category", size=0)) > 0

    alone = panel.margins(panel.scores) > 0
    for kind in "ab":
        mine = np.array(kinds) == kind
        assert routed[mine].mean() >= alone[:, mine].mean(axis=1).max()


def test_a_kind_that_validation_hardly_showed_gets_the_weights_for_all() -> None:
    panel = made_panel([0.5, 1.0], pairs=100)
    panel.responses.category[:4] = "rare"

    combiner = routing(panel, by="category", size=1)

    assert set(combiner.rule.routes) == {"a", "b"}  # type: ignore[union-attr]


def test_stacking_finds_the_better_member_and_answers_swapped_pairs_the_other_way() -> None:
    panel = made_panel([0.4, 3.0])
    swapped = panel_of(panel.scores.reshape(2, -1, 2)[:, :, ::-1].reshape(2, -1))

    combiner = stacking(panel, inverse_penalty=0.1)

    assert combiner.rule.weights[0] > 3 * abs(combiner.rule.weights[1])
    assert swapped.combined(combiner) == pytest.approx(-panel.combined(combiner))


def straightforward_greedy(margins: Floats, rounds: int, convention: Convention) -> Floats:
    """Selection as one would write it down, every candidate's whole ensemble every time."""

    def order(candidates: Floats) -> int:
        right = outcomes(candidates, convention).sum(axis=1)
        losses = np.logaddexp(0, -candidates).mean(axis=1).round(12)
        return int(np.lexsort((losses, -right))[0])

    first = order(margins)
    counts = np.zeros(len(margins))
    counts[first] = 1
    total = margins[first].copy()
    kept, best = counts.copy(), outcomes(total, convention).sum()
    for picked in range(2, rounds + 1):
        following = order((total + margins) / picked)
        counts[following] += 1
        total = total + margins[following]
        if outcomes(total, convention).sum() > best:
            kept, best = counts / picked, outcomes(total, convention).sum()
    return np.asarray(kept / kept.sum())


@given(panels(), st.integers(1, 12), st.sampled_from(["ties are wrong", "ties count half"]))
def test_fast_greedy_selection_picks_what_the_straightforward_one_picks(
    panel: Panel, rounds: int, convention: Convention
) -> None:
    margins = panel.z_margins

    weights = greedy_weights(margins, rounds=rounds, convention=convention)

    assert weights == pytest.approx(straightforward_greedy(margins, rounds, convention))


@given(panels(), st.sampled_from([0, 4]), st.sampled_from([1, 3]))
def test_greedy_selection_is_never_worse_than_the_best_member_on_its_own_pairs(
    panel: Panel, bags: int, start: int
) -> None:
    margins = panel.z_margins

    weights = bagged_weights(margins, start=start, bags=bags)

    best = outcomes(margins, "ties are wrong").mean(axis=1).max()
    assert outcomes(weights @ margins, "ties are wrong").mean() >= best - 1e-12
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'z_average'"):
        check_method("z-average")
