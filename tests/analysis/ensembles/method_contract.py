"""What every ensemble method promises, whatever it does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from analysis.ensembles.methods import METHODS, Method
from analysis.ensembles.nested import fit_method
from analysis.ensembles.panel import Panel
from tests.analysis.ensembles.made_panels import made_panel, panel_of, tied_panels
from trainer.members.member_scores import used


class MethodContract:
    """Run by every method; a subclass names it."""

    name = ""
    ignores_units = True
    """Whether a member's own unit of scores makes no difference."""

    @pytest.fixture
    def method(self) -> Method:
        return METHODS[self.name]

    def test_copies_of_one_member_rank_as_that_member(self, method: Method) -> None:
        one = made_panel([1.0], pairs=100)
        kinds = [str(kind) for kind in one.responses.category[::2]]
        copies = panel_of(np.repeat(one.scores, 4, axis=0), kinds=kinds)

        for fit in method(copies):
            scores = fit(copies).scores(copies.scores, copies.responses)
            assert (copies.margins(scores) > 0).tolist() == (
                one.margins(one.scores[0]) > 0
            ).tolist()

    def test_a_member_worse_than_chance_does_not_take_part(self, method: Method) -> None:
        good = made_panel([0.8, 0.9, 1.0])
        upside_down = panel_of(
            np.concatenate([good.scores, -good.scores[:1]]),
            kinds=[str(kind) for kind in good.responses.category[::2]],
        )
        if self.name == "stacking":  # a voice that is always wrong is worth listening to
            return

        for fit in method(upside_down):
            combiner = fit(upside_down)
            assert not used(combiner.rule.weights)[3], fit.setting

    def test_a_members_unit_makes_no_difference(self, method: Method) -> None:
        if not self.ignores_units:
            return
        plain = made_panel([0.8, 1.0, 1.2], pairs=200)
        scaled = made_panel([0.8, 1.0, 1.2], pairs=200, scales=[1.0, 1000.0, 0.01])

        for fit, again in zip(method(plain), method(scaled), strict=True):
            expected = plain.combined(fit(plain)) > 0
            found = scaled.combined(again(scaled)) > 0
            assert (expected == found).mean() > 0.995, fit.setting

    def test_only_the_members_that_count_give_the_same_scores(self, method: Method) -> None:
        panel = made_panel([0.8, 0.9, 1.0, 1.1, 2.0], pairs=200)
        fitted = fit_method(panel, method)
        assert fitted is not None
        rows = np.flatnonzero(used(fitted.combiner.rule.weights))[::-1].tolist()

        alone = fitted.combiner.only(rows).scores(panel.scores[rows], panel.responses)

        assert alone == pytest.approx(fitted.combiner.scores(panel.scores, panel.responses))

    def test_its_scores_are_calibrated_where_it_was_fitted(self, method: Method) -> None:
        panel = made_panel([0.7, 0.9, 1.1], pairs=600)
        fitted = fit_method(panel, method)
        assert fitted is not None

        chances = 1 / (1 + np.exp(-np.abs(panel.combined(fitted.combiner))))
        right = panel.combined(fitted.combiner) > 0

        assert chances.mean() == pytest.approx(right.mean(), abs=0.05)

    @settings(
        max_examples=20, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(tied_panels())
    def test_where_every_pair_is_tied_its_scores_are_numbers_and_tied(self, panel: Panel) -> None:
        for fit in METHODS[self.name](panel):
            combiner = fit(panel)
            scores = combiner.scores(panel.scores, panel.responses)

            assert np.isfinite(scores).all(), fit.setting
            assert panel.margins(scores) == pytest.approx(0.0, abs=1e-9), fit.setting
        fitted = fit_method(panel, METHODS[self.name])
        assert fitted is None or np.isfinite(panel.combined(fitted.combiner)).all()

    @settings(
        max_examples=20, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(tied_panels())
    def test_members_that_tell_nothing_do_not_outvote_one_that_does(self, tied: Panel) -> None:
        pairs = tied.pairs
        able = np.tile([1.0, -1.0], pairs) * np.linspace(1, 2, 2 * pairs)
        panel = panel_of(np.concatenate([tied.scores, able[None]]), groups=tied.groups.tolist())

        for fit in METHODS[self.name](panel):
            assert (panel.combined(fit(panel)) > 0).all(), fit.setting
