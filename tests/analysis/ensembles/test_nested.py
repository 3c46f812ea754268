"""Methods are compared on groups that neither they nor their settings have seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from analysis.ensembles.diversity import diversity
from analysis.ensembles.methods import METHODS, SINGLE, Fit
from analysis.ensembles.nested import INNER, cross_validate, fit_method, folds, pick
from analysis.ensembles.panel import Panel, finite_temperature
from tests.analysis.ensembles.made_panels import made_panel, panel_of, panels
from trainer.members.combining import Combiner


@given(panels())
def test_folds_hold_whole_groups_and_every_pair_once(panel: Panel) -> None:
    parts = folds(panel, 5, seed=0)

    held = np.sum([part.held for part in parts], axis=0)
    assert (held == 1).all()
    if len(parts) > 1:
        for part in parts:
            assert not set(panel.groups[part.held]) & set(panel.groups[~part.held])
            assert (part.seen.pairs, part.unseen.pairs) == ((~part.held).sum(), part.held.sum())


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(panels())
def test_any_panel_can_be_cross_validated(panel: Panel) -> None:
    few = {name: METHODS[name] for name in (SINGLE, "z_average", "majority", "stacking")}

    held_out = cross_validate(panel, few)

    assert set(held_out) == set(few)
    assert all(0 <= each.accuracy <= 1 and np.isfinite(each.loss) for each in held_out.values())


def test_no_method_is_shown_the_pairs_it_is_judged_on() -> None:
    panel = made_panel([1.0, 1.1], pairs=60)
    shown: list[set[str]] = []

    def spy(part: Panel) -> list[Fit]:
        shown.append({str(score) for score in part.scores[0]})

        def fit(inner: Panel) -> Combiner:
            shown.append({str(score) for score in inner.scores[0]})
            return METHODS[SINGLE](inner)[0](inner)

        return [Fit("one", fit), Fit("two", fit)]

    cross_validate(panel, {"spy": spy})

    # Per outer fold: the offer, two fits on every inner fold, and the final one.
    per_fold = 1 + 2 * INNER + 1
    assert len(shown) == 5 * per_fold
    for fold, part in enumerate(folds(panel, 5, seed=0)):
        judged = {str(score) for score in panel.scores[0][panel.chosen[part.held]]}
        for seen in shown[fold * per_fold : (fold + 1) * per_fold]:
            assert not seen & judged


def test_a_shortlist_is_drawn_up_without_the_pairs_it_is_judged_on() -> None:
    coins = np.random.default_rng(0).normal(size=(200, 2 * 150))  # right by luck alone
    panel = panel_of(coins)
    short = panel.members(panel.best_first[:5].tolist())

    honest = cross_validate(panel, {"average": METHODS["average"]}, at_most=5)["average"]
    leaking = cross_validate(short, {"average": METHODS["average"]})["average"]

    assert honest.accuracy < 0.55
    assert leaking.accuracy > 0.6, "the best of 200 look good on the pairs that made them best"
    for fold in folds(panel, 5, seed=0, at_most=5):
        assert fold.rest.size == 200
        assert fold.seen.names == fold.unseen.names
        assert fold.seen.accuracies.min() >= np.sort(fold.rest.accuracies)[-5]


def test_settings_come_from_inner_folds_and_keep_bad_members_out() -> None:
    panel = made_panel([0.6, 0.6, 0.6, 8.0, 8.0, 8.0, 8.0, 8.0])

    fitted = fit_method(panel, METHODS["z_average"])

    assert fitted is not None
    assert fitted.setting in ("best 2", "best 3")


def test_the_method_that_suits_the_members_is_picked() -> None:
    averaging = made_panel([1.2] * 6, pairs=600)
    alone = made_panel([0.2, 6.0, 6.0, 6.0], pairs=600)

    assert pick(cross_validate(averaging, METHODS)) != SINGLE
    held_out = cross_validate(alone, METHODS)
    assert held_out["average"].accuracy <= held_out[SINGLE].accuracy + 0.01


def test_a_temperature_is_finite_for_a_model_that_is_always_or_never_right() -> None:
    for margins in (np.ones(50), -np.ones(50), np.zeros(50)):
        assert 0 < finite_temperature(margins) < np.inf


def test_diversity_of_equal_independent_and_opposite_members() -> None:
    generator = np.random.default_rng(0)
    one = (generator.random(20_000) < 0.7).astype(float)
    other = (generator.random(20_000) < 0.7).astype(float)

    equal, independent, opposite = (
        diversity(np.array([one, second])) for second in (one, other, 1 - one)
    )

    assert equal is not None
    assert (equal.q_statistic, equal.disagreement) == (1.0, 0.0)
    assert equal.error_correlation == pytest.approx(1.0)
    assert independent is not None
    assert independent.q_statistic == pytest.approx(0.0, abs=0.05)
    assert independent.error_correlation == pytest.approx(0.0, abs=0.03)
    assert independent.double_fault == pytest.approx(0.09, abs=0.01)
    assert opposite is not None
    assert (opposite.q_statistic, opposite.all_wrong) == (-1.0, 0.0)
    assert diversity(np.array([one])) is None


def test_members_that_are_never_wrong_have_no_q_and_no_correlation_but_all_other_figures() -> None:
    never = diversity(np.ones((3, 50)))

    assert never is not None
    assert never.text == (
        "Errors of two members on validation: Q undefined, correlation undefined, both wrong on "
        "0.0% of pairs, one of them on 0.0%; all members wrong on 0.0%"
    )


def test_a_panel_of_some_members_keeps_their_scores() -> None:
    panel = panel_of(np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]))

    some = panel.members([2, 0])

    assert some.names == ("m2", "m0")
    assert some.scores.tolist() == [[3.0, 0.0], [1.0, 0.0]]
