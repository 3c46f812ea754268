"""Averages of weights as candidates: named by content, scored once, chosen like everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analysis.ensembles.asking import Asked
from analysis.ensembles.candidates import trial_candidates
from analysis.ensembles.choosing import choose_ensemble, ensemble_sweep
from analysis.ensembles.merging import Models, possible_merges
from analysis.tables import read_sweep
from infra.errors import InputError
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis
from trainer.members.ensemble_file import read_ensemble
from trainer.scores import read_scores, score_key, write_scores


@dataclass
class MeanScores:
    """Scores of models that see through independent noise, averaged: what a good merge gives."""

    made: MadeSweep
    worse_by: float = 0.0
    """Noise of its own, in units of its scores' spread."""
    asked: list[Models] = field(default_factory=list)

    def __call__(self, models: Models, benchmarks: Sequence[str]) -> Mapping[str, pa.Table]:
        self.asked.append(models)
        return {name: self._table(models, name) for name in benchmarks}

    def _table(self, models: Models, benchmark: str) -> pa.Table:
        tables = [
            read_scores(self.made.store.read(score_key(model.identity, benchmark)))
            for model in models
        ]
        mean = np.mean([table["score"].to_numpy() for table in tables], axis=0)
        mean += self.worse_by * mean.std() * np.random.default_rng(0).normal(size=len(mean))
        place = tables[0].column_names.index("score")
        return tables[0].set_column(place, tables[0].schema.field("score"), pa.array(mean))


@pytest.fixture
def made(tmp_path: Path) -> MadeSweep:
    """Two arms of three seeds whose errors are mostly their own."""
    return make_sweep(
        tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.0}), own_noise=1.2, items=400)
    )


def test_a_merge_that_is_best_is_taken_at_one_models_cost(made: MadeSweep, tmp_path: Path) -> None:
    scorer = MeanScores(made)
    path = tmp_path / "e.json"

    result = ensemble_sweep(
        made.ledger,
        made.store,
        [made.sweep_id],
        asked=Asked(method="merged"),
        score_merge=scorer,
        path=path,
    )

    assert sorted(len(models) for models in scorer.asked) == [3, 3, 6], "two arms and all of them"
    assert result.models == 1
    assert "The average of the weights of 6 models" in result.headline
    assert "It pays, at one model's cost" in result.headline
    (member,) = read_ensemble(path).members
    assert len(member.models) == 6
    by_name = {row.method: row for row in result.compared}
    assert by_name["merged"].accuracy > by_name["single"].accuracy


def test_a_merge_is_scored_once_and_takes_part_from_then_on(made: MadeSweep) -> None:
    scorer = MeanScores(made)
    asked = Asked(method="merged")
    tables = [read_sweep(made.ledger, made.sweep_id)]

    before = choose_ensemble(tables, asked=Asked(method="average"))
    first = ensemble_sweep(
        made.ledger, made.store, [made.sweep_id], asked=asked, score_merge=scorer
    )
    scored = len(scorer.asked)
    ensemble_sweep(made.ledger, made.store, [made.sweep_id], asked=asked, score_merge=scorer)
    after = choose_ensemble(tables, asked=asked)

    assert any("3 sets of models could be averaged" in note for note in before.notes)
    assert "merged" not in {row.method for row in before.compared}
    assert len(scorer.asked) == scored
    assert after.accuracy == first.accuracy
    assert not any("--merge" in note for note in after.notes)


def test_merges_scored_on_other_items_than_the_models_are_scored_anew(made: MadeSweep) -> None:
    scorer = MeanScores(made)
    asked = Asked(method="merged")
    ensemble_sweep(made.ledger, made.store, [made.sweep_id], asked=asked, score_merge=scorer)
    for key in made.store.keys("merges/"):
        table = read_scores(made.store.read(key))
        made.store.write(key, write_scores(table.slice(0, table.num_rows // 2 * 2 - 40)))
    scored = len(scorer.asked)

    tables = [read_sweep(made.ledger, made.sweep_id)]
    with pytest.raises(InputError, match="no average of weights could be scored"):
        choose_ensemble(tables, asked=asked)
    ensemble_sweep(made.ledger, made.store, [made.sweep_id], asked=asked, score_merge=scorer)

    assert len(scorer.asked) == 2 * scored


def test_arms_of_two_sweeps_are_one_only_where_they_are_one_recipe(tmp_path: Path) -> None:
    def arms(sources: Mapping[str, float]) -> list[MadeArm]:
        return [
            MadeArm(name="baseline", point={"head": "a"}, trained_on=sources),
            MadeArm(name="head=b", point={"head": "b"}, trained_on={"scenes": 1.0}),
        ]

    one = make_sweep(tmp_path, Recipe(name="one", arms=arms({"scenes": 1.0}), seeds=2))
    other = make_sweep(
        tmp_path, Recipe(name="two", arms=arms({"digits": 1.0}), seeds=2), ledger=one.ledger
    )
    scorer = MeanScores(one)

    result = ensemble_sweep(
        one.ledger,
        one.store,
        [one.sweep_id, other.sweep_id],
        asked=Asked(method="merged"),
        score_merge=scorer,
    )

    of = {
        trial.identity: (sweep.sweep_id, trial.arm)
        for sweep in (one, other)
        for trial in one.ledger.trials(sweep.sweep_id)
    }
    averaged = [{of[model.identity] for model in models} for models in scorer.asked]
    of_one_arm = [sorted(held) for held in averaged if {arm for _, arm in held} == {"baseline"}]
    assert sorted(of_one_arm) == [[(one.sweep_id, "baseline")], [(other.sweep_id, "baseline")]]
    of_another = [held for held in averaged if {arm for _, arm in held} == {"head=b"}]
    assert of_another == [{(one.sweep_id, "head=b"), (other.sweep_id, "head=b")}]
    assert result.method == "merged"


def test_which_model_is_the_best_makes_no_difference_to_an_average(made: MadeSweep) -> None:
    tables = read_sweep(made.ledger, made.sweep_id)
    found = trial_candidates([tables], validation="validation", test="test", left_out=[])
    members = list(found)

    one, other = (possible_merges(order) for order in (members, members[::-1]))

    assert {merge.models for merge in one} == {merge.models for merge in other}


def test_a_bad_merge_is_not_taken_and_one_that_cannot_be_made_is_named(made: MadeSweep) -> None:
    def refuses(models: Models, benchmarks: Sequence[str]) -> Mapping[str, pa.Table]:
        raise InputError("their tokenizers differ")

    bad = ensemble_sweep(
        made.ledger, made.store, [made.sweep_id], score_merge=MeanScores(made, worse_by=3.0)
    )

    assert bad.method != "merged"
    assert "merged" in {row.method for row in bad.compared}
    for key in made.store.keys("merges/"):
        made.store.delete(key)
    refused = ensemble_sweep(
        made.ledger,
        made.store,
        [made.sweep_id],
        asked=Asked(method="average"),
        score_merge=refuses,
    )
    assert sum("cannot be averaged: their tokenizers" in note for note in refused.notes) == 3
