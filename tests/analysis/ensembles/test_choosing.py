"""Ensembles: chosen on validation, judged on test, plain about whether they pay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from analysis.ensembles.asking import Asked
from analysis.ensembles.candidates import trial_candidates
from analysis.ensembles.choosing import choose_ensemble, ensemble_sweep
from analysis.ensembles.joining import side_by_side
from analysis.foreign.tables import read_foreign_scores
from analysis.tables import read_sweep
from infra.errors import InputError
from sweep.records.lifecycle import TrialState
from tests.analysis.made_sweeps import MadeArm, Recipe, make_sweep, one_axis
from trainer.evaluation.metrics import benchmark_metrics
from trainer.members.ensemble_file import read_ensemble
from trainer.members.member_tables import combine
from trainer.record import model_page_key
from trainer.scores import read_scores, score_key, write_scores


def test_models_that_err_independently_pay_as_an_ensemble(tmp_path: Path) -> None:
    recipe = Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.2, items=800)
    made = make_sweep(tmp_path, recipe)
    path = tmp_path / "out" / "ensemble.json"

    result = ensemble_sweep(
        made.ledger, made.store, [made.sweep_id], asked=Asked(method="z_average"), path=path
    )

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

    result = choose_ensemble(
        [read_sweep(made.ledger, made.sweep_id)], asked=Asked(method="z_average")
    )

    assert result.evidence is not None
    assert not result.evidence.pays
    assert "does not pay" in result.headline


@pytest.mark.parametrize("method", ["greedy", "probability", "majority", "routed", "rank_average"])
def test_scoring_with_the_file_gives_the_accuracy_it_claims(tmp_path: Path, method: str) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.1}), own_noise=0.8))
    result = ensemble_sweep(
        made.ledger,
        made.store,
        [made.sweep_id],
        asked=Asked(method=method),
        path=tmp_path / "e.json",
    )
    ensemble = read_ensemble(tmp_path / "e.json")

    table = combine(
        ensemble,
        [
            read_scores(made.store.read(score_key(member.models[0].identity, "test")))
            for member in ensemble.members
        ],
    )

    assert benchmark_metrics(table)["accuracy"] == pytest.approx(result.accuracy)
    assert ensemble.method == method
    assert len(ensemble.members) == len(result.members)


def test_auto_says_how_each_method_did_on_pairs_it_had_not_seen(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.2))

    result = choose_ensemble([read_sweep(made.ledger, made.sweep_id)])

    by_name = {row.method: row for row in result.compared}
    assert {"single", "z_average", "greedy", "stacking", "routed"} <= set(by_name)
    assert result.compared[0].accuracy == by_name[result.method].accuracy
    assert by_name["single"].against_single is None
    assert result.diversity is not None


def test_members_scored_on_other_items_are_intersected_and_it_is_said(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.0))
    tables = read_sweep(made.ledger, made.sweep_id)
    first, second, third = tables.succeeded()[:3]
    for trial, change in ((first, _without_items), (second, _with_nan), (third, _constant)):
        key = score_key(trial.identity, "validation")
        made.store.write(key, write_scores(change(read_scores(made.store.read(key)))))

    result = choose_ensemble(
        [read_sweep(made.ledger, made.sweep_id)], asked=Asked(method="average")
    )

    assert result.candidates == 5
    assert any("gives every validation response the same score" in why for why in result.left_out)
    note, hint = result.notes
    assert note.startswith("345 of 400 validation items")
    assert "--merge" in hint
    assert result.validation_items == 345


def test_a_model_with_a_few_items_is_left_out_however_good_it_is_there(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.0))
    best, *_ = trial_candidates(
        [read_sweep(made.ledger, made.sweep_id)], validation="validation", test="test", left_out=[]
    )
    key = score_key(best.identity, "validation")
    few = read_scores(made.store.read(key)).slice(0, 40)
    made.store.write(key, write_scores(few))

    result = choose_ensemble(
        [read_sweep(made.ledger, made.sweep_id)], asked=Asked(method="average")
    )

    assert result.validation_items == 400
    assert f"{best.label}: scored on other validation items: it has 20 of the 400" in str(
        result.left_out
    )


@pytest.mark.parametrize("method", ["majority", "probability"])
def test_items_of_one_response_decide_nothing_and_stop_nothing(tmp_path: Path, method: str) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=80, own_noise=1.0))
    for trial in made.ledger.trials(made.sweep_id):
        for benchmark in ("validation", "test"):
            key = score_key(trial.identity, benchmark)
            made.store.write(key, write_scores(read_scores(made.store.read(key)).slice(1)))

    result = choose_ensemble([read_sweep(made.ledger, made.sweep_id)], asked=Asked(method=method))

    assert result.validation_items == 79
    assert result.evidence is not None
    assert result.evidence.comparison.items == 79


def test_methods_are_shown_a_shortlist_of_all_models(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.2))
    tables = read_sweep(made.ledger, made.sweep_id)

    result = choose_ensemble([tables], asked=Asked(method="average", at_most=2))

    assert result.candidates == len(tables.succeeded())
    assert 1 <= len(result.members) <= 2
    assert result.single.validation_accuracy == max(
        member.validation_accuracy for member in result.members
    )


def test_models_that_are_not_read_are_said_to_make_held_out_figures_flatter(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), items=80))
    tables = read_sweep(made.ledger, made.sweep_id)
    left_out: list[str] = []
    found = trial_candidates([tables], validation="validation", test="test", left_out=left_out)

    assert len(side_by_side(found, at_most=3, left_out=left_out).members) == 3

    assert "members are chosen from 3 models" in left_out[-1]
    assert "flatter" in left_out[-1]


def _without_items(table: pa.Table) -> pa.Table:
    kept = list(dict.fromkeys(table["item_id"].to_pylist()))[50:]
    return table.filter(pc.is_in(table["item_id"], pa.array(kept)))


def _with_nan(table: pa.Table) -> pa.Table:
    scores = table["score"].to_numpy().copy()
    scores[-10:] = np.nan
    return table.set_column(
        table.column_names.index("score"), table.schema.field("score"), pa.array(scores)
    )


def _constant(table: pa.Table) -> pa.Table:
    scores = np.zeros(table.num_rows)
    return table.set_column(
        table.column_names.index("score"), table.schema.field("score"), pa.array(scores)
    )


def test_members_whose_files_are_gone_are_left_out_and_it_is_said(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.2}), items=80, seeds=3))
    (first, second, *_) = read_sweep(made.ledger, made.sweep_id).succeeded()
    made.store.delete(model_page_key(first.identity))
    made.store.delete(score_key(second.identity, "test"))

    result = choose_ensemble([read_sweep(made.ledger, made.sweep_id, store=made.store)])

    assert result.candidates == 4
    assert first.identity not in {member.identity for member in result.members}
    assert any("its model is no longer in file:" in reason for reason in result.left_out)
    assert any("no scores on test" in reason for reason in result.left_out)


def test_too_few_models_are_refused_with_the_reasons(tmp_path: Path) -> None:
    failed = dict.fromkeys(range(1, 3), TrialState.FAILED)
    arms = [MadeArm(name="baseline", point={"head": "a"}, ends=failed)]
    made = make_sweep(tmp_path, Recipe(arms=arms))
    tables = read_sweep(made.ledger, made.sweep_id)

    with pytest.raises(InputError, match="at least 2 trained models"):
        choose_ensemble([tables])
    with pytest.raises(InputError, match="method must be"):
        choose_ensemble([tables], asked=Asked(method="stakking"))
    with pytest.raises(InputError, match="a sweep or a folder"):
        choose_ensemble([])


def test_members_may_come_from_several_sweeps(tmp_path: Path) -> None:
    first = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), own_noise=0.9))
    second = make_sweep(
        tmp_path,
        Recipe(name="scale", arms=one_axis({"s": 1.0, "m": 1.2}, axis="scale"), own_noise=0.9),
        ledger=first.ledger,
    )

    result = ensemble_sweep(
        first.ledger,
        first.store,
        [first.sweep_id, second.sweep_id],
        asked=Asked(name="both", method="z_average"),
    )

    assert result.sweeps == (first.sweep_id, second.sweep_id)
    assert {member.arm for member in result.members} & {"scale=m"}


def test_models_scored_elsewhere_are_ensembled_from_their_tables_alone(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.2))
    folder = tmp_path / "theirs"
    for trial in made.ledger.trials(made.sweep_id):
        for benchmark in ("validation", "test"):
            table = read_scores(made.store.read(score_key(trial.identity, benchmark)))
            place = folder / f"{trial.arm.replace('=', '-')}" / f"seed-{trial.seed}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{benchmark}.parquet").write_bytes(write_scores(table))
    asked = Asked(method="z_average")

    foreign = choose_ensemble(foreign=read_foreign_scores(folder), asked=asked)
    ours = choose_ensemble([read_sweep(made.ledger, made.sweep_id)], asked=asked)

    assert foreign.accuracy == pytest.approx(ours.accuracy)
    assert {member.models for member in foreign.members} == {()}
    assert foreign.file().members[0].weight == pytest.approx(foreign.members[0].weight)
    with pytest.raises(InputError, match="is no test benchmark all of them have"):
        choose_ensemble(foreign=read_foreign_scores(folder), asked=Asked(test="hard"))


def test_arms_of_very_long_names_are_named_in_a_few_words(tmp_path: Path) -> None:
    huge = "n<b>" * 2000
    arms = [
        MadeArm(name="baseline", point={"head": "a"}),
        MadeArm(name=f"head={huge}", point={"head": huge}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=40, seeds=2))

    result = ensemble_sweep(made.ledger, made.store, [made.sweep_id], asked=Asked(method="average"))

    assert len(result.headline) < 1000
    assert {len(member.label) for member in result.members} == {len("baseline seed 0"), 127}
