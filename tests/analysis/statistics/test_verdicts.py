"""Words of a verdict: what is claimed, and of what."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics.equivalence import equivalence_bound
from analysis.statistics.paired import Comparison, Scope, compare
from analysis.statistics.planning import advise, minimum_detectable_effect
from analysis.statistics.verdicts import Verdict, judge, sentence


def _comparison(*, seeds: int, gain: float, spread: float = 0.0, items: int = 600) -> Comparison:
    """An arm whose seeds gain `gain` plus or minus `spread` of the items."""
    rng = np.random.default_rng(7)
    shifts = np.linspace(-spread, spread, seeds) if seeds > 1 else np.zeros(1)
    uniform = rng.random((seeds, items))
    arm = uniform < (0.7 + gain + shifts)[:, None]
    return compare(arm, uniform < 0.7, np.arange(items))


def _judged(comparison: Comparison) -> Verdict:
    return judge(
        comparison,
        general_p=comparison.general.p_value if comparison.general else None,
        fixed_p=comparison.fixed.p_value if comparison.fixed else None,
    )


def test_a_difference_all_seeds_share_holds_in_general() -> None:
    comparison = _comparison(seeds=5, gain=0.05)

    verdict = _judged(comparison)

    assert verdict.text == "better in general"
    said = sentence("silu", "tanh", comparison, verdict)
    assert said.startswith("silu is better than tanh in general: +")


def test_seeds_that_disagree_leave_a_verdict_on_the_trained_models_only() -> None:
    comparison = _comparison(seeds=3, gain=0.05, spread=0.04)

    verdict = _judged(comparison)

    assert verdict.text == "not distinguishable (better for these trained models only)"
    assert not verdict.claims
    said = sentence("silu", "tanh", comparison, verdict)
    assert said.startswith("silu is not distinguishable from tanh: +")
    assert "that the recipe itself is better is not shown with 3 seeds" in said


def test_one_seed_speaks_of_the_trained_models_only() -> None:
    comparison = _comparison(seeds=1, gain=-0.08)

    verdict = _judged(comparison)

    assert verdict.text == "worse for these trained models only"
    assert verdict.general_p is None
    assert "only one seed" in sentence("a", "b", comparison, verdict)


def test_noise_is_not_distinguishable() -> None:
    comparison = _comparison(seeds=3, gain=0.003, spread=0.03)

    verdict = _judged(comparison)

    assert verdict.text == "not distinguishable"
    assert verdict.scope is Scope.GENERAL
    said = sentence("a", "b", comparison, verdict)
    bound = equivalence_bound(comparison)
    assert bound is not None
    assert said.startswith("a is not distinguishable from b")
    assert said.endswith(
        f"; {100 * bound:.1f} points or more, either way, are ruled out "
        "(equivalence test, 5%, uncorrected)."
    )


@pytest.mark.parametrize(
    ("fixed_p", "what"),
    [(0.01, "that the recipe itself is better"), (0.2, "a difference")],
    ids=["models differ", "models do not"],
)
def test_an_interval_without_zero_beside_no_verdict_is_explained(fixed_p: float, what: str) -> None:
    comparison = _comparison(seeds=5, gain=0.05)
    assert comparison.general is not None
    assert comparison.general.low > 0

    verdict = judge(comparison, general_p=0.12, fixed_p=fixed_p)

    said = sentence("silu", "tanh", comparison, verdict)
    assert said.startswith("silu is not distinguishable from tanh: +")
    assert said.endswith(
        f"; the interval is of this comparison alone, and {what} is not shown once corrected for "
        "the tests made together (p 0.12)."
    )


def test_equal_outcomes_are_said_to_be_equal() -> None:
    comparison = _comparison(seeds=2, gain=0.0)

    assert "the same outcome on every item" in sentence("a", "b", comparison, _judged(comparison))


def test_more_seeds_shrink_what_can_be_detected() -> None:
    comparison = _comparison(seeds=3, gain=0.02, spread=0.03)

    now = minimum_detectable_effect(comparison)
    later = minimum_detectable_effect(comparison, seeds=8)

    assert now is not None
    assert later is not None
    assert now > 2 * later


@pytest.mark.parametrize(
    ("seeds", "gain", "spread", "kind"),
    [
        pytest.param(1, 0.05, 0.0, "measure seed noise", id="one-seed"),
        pytest.param(3, 0.04, 0.03, "more seeds", id="noisy-seeds"),
        pytest.param(3, 0.0, 0.0, "too small to matter", id="nothing-there"),
    ],
)
def test_advice_names_what_would_settle_it(
    seeds: int, gain: float, spread: float, kind: str
) -> None:
    advice = advise(_comparison(seeds=seeds, gain=gain, spread=spread), settled=False)

    assert advice.kind == kind
    if kind == "more seeds":
        assert advice.more_seeds is not None
        assert 1 <= advice.more_seeds <= 20
        assert f"{advice.more_seeds} more seed" in advice.text


def test_a_settled_comparison_needs_nothing() -> None:
    assert advise(_comparison(seeds=5, gain=0.1), settled=True).kind == "settled"
