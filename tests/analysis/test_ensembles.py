"""Ensembles: chosen on validation, judged on test, plain about whether they pay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.ensemble_weights import (
    Panel,
    accuracy,
    average_weights,
    best_single,
    combined,
    cross_validated,
    greedy_weights,
)
from analysis.ensembles import choose_ensemble, ensemble_sweep
from analysis.tables import read_sweep
from infra.errors import InputError
from sweep.records.lifecycle import TrialState
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis
from trainer.metrics import benchmark_metrics
from trainer.scores import read_scores, score_key


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    members, pairs = draw(st.integers(1, 6)), draw(st.integers(2, 25))
    values = st.one_of(st.floats(-3, 3), st.sampled_from([-1.0, 0.0, 0.1, 1.0]))
    margins = draw(arrays(np.float64, (members, pairs), elements=values))
    groups = draw(arrays(np.int64, pairs, elements=st.integers(0, 6))).astype(object)
    return Panel(margins=margins, groups=groups)


@given(panels(), st.sampled_from([0, 4]))
def test_greedy_selection_is_never_worse_than_the_best_member_on_its_own_pairs(
    panel: Panel, bags: int
) -> None:
    weights = greedy_weights(panel, bags=bags)

    best = accuracy(panel.margins[best_single(panel)])
    assert accuracy(combined(panel.margins, weights)) >= best
    assert best == accuracy(panel.margins).max()


@given(panels(), st.integers(1, 8))
def test_weights_sum_to_one_and_none_is_negative(panel: Panel, size: int) -> None:
    for weights in (
        average_weights(panel, size),
        greedy_weights(panel),
        greedy_weights(panel, bags=3),
    ):
        assert weights.sum() == pytest.approx(1)
        assert (weights >= 0).all()


@given(panels(), st.integers(2, 5))
def test_an_ensemble_of_identical_members_is_that_member(panel: Panel, copies: int) -> None:
    same = Panel(margins=np.repeat(panel.margins[:1], copies, axis=0), groups=panel.groups)

    for weights in (average_weights(same, copies), greedy_weights(same)):
        assert combined(same.margins, weights) == pytest.approx(panel.margins[0])


@settings(max_examples=25)
@given(panels())
def test_cross_validated_accuracies_are_shares(panel: Panel) -> None:
    assert all(0 <= value <= 1 for value in cross_validated(panel, 5).values())


def test_models_that_err_independently_pay_as_an_ensemble(tmp_path: Path) -> None:
    recipe = Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.2, items=800)
    made = make_sweep(tmp_path, recipe)
    path = tmp_path / "out" / "ensemble.json"

    result = ensemble_sweep(made.ledger, made.store, [made.sweep_id], path=path)

    assert result.evidence is not None
    assert result.evidence.pays
    assert "It pays" in result.headline
    document = json.loads(path.read_text())
    assert document == json.loads(made.store.read(f"ensembles/{result.name}.json"))
    assert document["evidence"]["accuracy"] == result.accuracy
    assert sum(member["weight"] for member in document["members"]) == pytest.approx(1)
    (published,) = made.ledger.publications(made.sweep_id)
    assert published.kind == "ensemble"


def test_seeds_of_one_strong_model_among_weak_ones_do_not_pay_and_it_is_said(
    tmp_path: Path,
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=0.0))

    result = choose_ensemble([read_sweep(made.ledger, made.sweep_id)], method="average")

    assert result.evidence is not None
    assert not result.evidence.pays
    assert "does not pay" in result.headline


def test_a_member_with_large_scores_does_not_outvote_the_others(tmp_path: Path) -> None:
    arms = [
        *one_axis({"a": 1.0}),
        MadeArm(name="head=b", point={"head": "b"}, ability=1.0, scale=1000.0),
    ]
    plain = [*one_axis({"a": 1.0}), MadeArm(name="head=b", point={"head": "b"}, ability=1.0)]

    scaled = make_sweep(tmp_path / "scaled", Recipe(arms=arms))
    unscaled = make_sweep(tmp_path / "plain", Recipe(arms=plain))

    results = [
        choose_ensemble([read_sweep(made.ledger, made.sweep_id)], method="average")
        for made in (scaled, unscaled)
    ]
    assert results[0].accuracy == pytest.approx(results[1].accuracy)


def test_scoring_with_the_file_gives_the_accuracy_it_claims(tmp_path: Path) -> None:
    scoring = pytest.importorskip("trainer.scoring", reason="needs torch")
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.1}), own_noise=0.8))
    result = ensemble_sweep(
        made.ledger, made.store, [made.sweep_id], method="greedy", path=tmp_path / "e.json"
    )
    ensemble = scoring.EnsembleFile.model_validate_json((tmp_path / "e.json").read_bytes())

    table = scoring.combine(
        [
            (member, read_scores(made.store.read(score_key(member.identity, "test"))))
            for member in ensemble.members
        ]
    )

    assert benchmark_metrics(table)["accuracy"] == pytest.approx(result.accuracy)


def test_too_few_models_are_refused_with_the_reasons(tmp_path: Path) -> None:
    failed = dict.fromkeys(range(1, 3), TrialState.FAILED)
    arms = [MadeArm(name="baseline", point={"head": "a"}, ends=failed)]
    made = make_sweep(tmp_path, Recipe(arms=arms))
    tables = read_sweep(made.ledger, made.sweep_id)

    with pytest.raises(InputError, match="at least 2 trained models"):
        choose_ensemble([tables])
    with pytest.raises(InputError, match="method must be"):
        choose_ensemble([tables], method="stacking")
    with pytest.raises(InputError, match="at least one sweep"):
        choose_ensemble([])


def test_members_may_come_from_several_sweeps(tmp_path: Path) -> None:
    first = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), own_noise=0.9))
    second = make_sweep(
        tmp_path,
        Recipe(name="scale", arms=one_axis({"s": 1.0, "m": 1.2}, axis="scale"), own_noise=0.9),
        ledger=first.ledger,
    )

    result = ensemble_sweep(
        first.ledger, first.store, [first.sweep_id, second.sweep_id], name="both"
    )

    assert result.sweeps == (first.sweep_id, second.sweep_id)
    assert {member.arm for member in result.members} & {"scale=m"}
