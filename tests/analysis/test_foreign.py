"""Score tables of models trained elsewhere: what is accepted, what is said, what is refused."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.foreign.files import PART_ROWS, read_file
from analysis.foreign.tables import read_foreign_scores
from infra.errors import InputError
from trainer.evaluation.metrics import pair_outcomes
from trainer.scores import SCORE_SCHEMA


def _rows(*, items: int = 6, split: str = "test", seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "benchmark": split,
            "split": split,
            "item_id": np.repeat([f"{i:03d}" for i in range(items)], 2),
            "group_id": np.repeat([f"g{i // 2}" for i in range(items)], 2),
            "response": np.tile([0, 1], items),
            "rank": np.tile([1, 2], items),
            "score": rng.normal(size=2 * items),
        }
    )


def _write(path: Path, frame: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
    elif path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_the_same_rows_are_the_same_model_in_every_format(tmp_path: Path, ending: str) -> None:
    _write(tmp_path / "theirs" / f"theirs.{ending}", _rows())
    _write(tmp_path / "parquet" / "theirs.parquet", _rows())

    found = read_foreign_scores(tmp_path / "theirs")

    assert [(model.arm, model.seed) for model in found.models] == [("theirs", 0)]
    assert found.models[0].identity == read_foreign_scores(tmp_path / "parquet").models[0].identity
    table = found.scores(found.models[0], "test", purpose="reporting")
    assert table is not None
    assert table.schema == SCORE_SCHEMA
    assert table["item_id"][0].as_py() == "000"  # not the number it looks like


def test_outcomes_are_those_of_the_tables(tmp_path: Path) -> None:
    for seed in (0, 1):
        _write(tmp_path / "ours" / f"seed-{seed}" / "test.csv", _rows(seed=seed))
        _write(tmp_path / f"theirs-seed-{seed}.jsonl", _rows(seed=10 + seed))
    found = read_foreign_scores(tmp_path)

    outcomes = found.outcomes("test", purpose="reporting")

    assert outcomes.trials == (("ours", 0), ("ours", 1), ("theirs", 0), ("theirs", 1))
    assert found.benchmarks_for("reporting") == ["test"]
    assert found.benchmarks_for("selection") == []
    for model, values in zip(found.models, outcomes.values, strict=True):
        table = found.scores(model, "test", purpose="reporting")
        assert table is not None
        assert values.mean() == pytest.approx(pair_outcomes(table)["correct"].mean())
    with pytest.raises(InputError, match="selection may only use validation items"):
        found.outcomes("test", purpose="selection")


def test_models_may_be_named_by_columns(tmp_path: Path) -> None:
    rows = [
        _rows(seed=s).assign(arm=arm, seed=s) for arm in "ab" for s in (3, 4 if arm == "a" else 5)
    ]
    _write(tmp_path / "all.parquet", pd.concat(rows))

    models = read_foreign_scores(tmp_path).models

    # b seed 3 has the scores of a seed 3: the same model twice is one model.
    assert [model.label for model in models] == ["a seed 3", "a seed 4", "b seed 5"]


def test_what_is_assumed_missing_or_repeated_is_said(tmp_path: Path) -> None:
    whole, part = _rows(), _rows(seed=1).iloc[:8]
    _write(tmp_path / "whole.csv", whole.drop(columns="group_id"))
    _write(tmp_path / "part.csv", pd.concat([part, part.iloc[:2]]).assign(colour="red"))

    with pytest.raises(InputError, match="disagree on group_id"):
        read_foreign_scores(tmp_path)
    _write(tmp_path / "whole.csv", whole)
    notes = "\n".join(read_foreign_scores(tmp_path).notes)

    assert "ignored columns: colour (part.csv)" in notes
    assert "assumed for absent columns: category, source" in notes
    assert "part seed 0, benchmark 'test': 2 repeated rows are used once" in notes
    assert "part seed 0 lacks 2 of 6 items of benchmark 'test'" in notes


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf, np.finfo(np.float64).min])
def test_a_score_that_is_no_number_makes_its_pair_unscored_not_wrong(
    tmp_path: Path, score: float
) -> None:
    rows = _rows()
    rows.loc[0, "score"] = score
    for ending in ("csv", "jsonl", "parquet"):
        _write(tmp_path / ending / f"a.{ending}", rows)
        found = read_foreign_scores(tmp_path / ending)

        outcomes = found.outcomes("test", purpose="reporting")

        assert np.isnan(outcomes.values[0, 0])
        assert np.isfinite(outcomes.values[0, 1:]).all()
        assert any("1 scores are no numbers" in note for note in found.notes)


def test_other_types_are_converted_where_nothing_is_lost(tmp_path: Path) -> None:
    rows = _rows().astype({"rank": float, "response": str, "score": "float32"})
    rows["parsed"] = "True"
    rows["item_id"] = np.repeat(range(6), 2)
    rows["category"] = pd.Categorical(np.repeat(["count", "shape", "count"], 4))
    _write(tmp_path / "a.parquet", rows)

    found = read_foreign_scores(tmp_path)

    table = found.scores(found.models[0], "test", purpose="reporting")
    assert table is not None
    assert table["item_id"].to_pylist()[:3] == ["0", "0", "1"]
    assert set(table["category"].to_pylist()) == {"count", "shape"}
    assert table["parsed"].to_pylist() == [True] * 12


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("rank", 1.5, "column rank holds double, which cannot become int32"),
        ("score", "high", "column score holds string, which cannot become double"),
        ("parsed", "perhaps", "'perhaps' is neither true nor false"),
        ("item_id", None, "column item_id is empty, first in row 1"),
        ("split", [1], "column split holds list"),
    ],
)
def test_a_column_that_cannot_be_converted_is_named(
    tmp_path: Path, column: str, value: object, said: str
) -> None:
    records = _rows().to_dict("records")
    for record in records if isinstance(value, list) else records[:1]:
        record[column] = value
    if column == "score":
        records = [record | {"score": str(record["score"])} for record in records]
    if column == "parsed":
        records = [{"parsed": "true"} | record for record in records]
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")

    with pytest.raises(InputError, match=r"a\.parquet") as refused:
        read_foreign_scores(tmp_path)

    assert said in str(refused.value)


def test_all_problems_of_a_folder_are_named_together(tmp_path: Path) -> None:
    _write(tmp_path / "a.csv", _rows().drop(columns=["score", "split"]))
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    (tmp_path / "c.jsonl").write_text("{oops\n")
    (tmp_path / "d.csv").write_text("")
    (tmp_path / "notes.txt").write_text("not read")

    with pytest.raises(InputError, match="has 4 problems") as refused:
        read_foreign_scores(tmp_path)

    assert "a.csv: lacks columns split, score" in str(refused.value)
    for name in ("b.parquet: cannot be read", "c.jsonl: cannot be read", "d.csv: cannot be read"):
        assert name in str(refused.value)


def test_a_model_in_many_files_is_the_model_in_one(tmp_path: Path) -> None:
    rows = pd.concat([_rows().assign(benchmark=name) for name in ("test", "more")])
    rows = rows.assign(score=[*rows["score"].to_numpy()[:-1], np.nan])
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    _write(whole / "a.csv", rows.assign(arm="a"))
    for number in range(3):
        _write(cut / f"part-{number}.csv", rows.iloc[number::3].assign(arm="a"))

    one, many = read_foreign_scores(whole), read_foreign_scores(cut)

    assert [model.identity for model in many.models] == [model.identity for model in one.models]
    assert len(many.models[0].files) == 3
    lost = [note for note in many.notes if "no numbers" in note]
    assert lost == [note for note in one.notes if "no numbers" in note]
    assert len(lost) == 1


def test_a_folder_takes_the_memory_of_its_scores_not_of_its_rows(tmp_path: Path) -> None:
    models, rows = 25, _rows(items=600)
    for number in range(models):
        scores = np.random.default_rng(number).normal(size=len(rows))
        _write(tmp_path / f"model-{number}.parquet", rows.assign(score=scores))
    tracemalloc.start()
    foreign = read_foreign_scores(tmp_path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(foreign.models) == models
    every_row = models * int(rows.memory_usage(deep=True).sum())
    assert most < every_row, f"{most:,} bytes at most, {every_row:,} are all rows, as numbers alone"


@pytest.mark.parametrize(
    ("ending", "order"), [("parquet", "arm"), ("parquet", "item_id"), ("csv", "arm")]
)
def test_one_file_of_all_models_is_read_in_parts_and_holds_the_same_models(
    tmp_path: Path, ending: str, order: str
) -> None:
    one = _rows(items=3000)
    arms = [f"m{number:02d}" for number in range(int(1.2 * PART_ROWS / len(one)))]
    rows = pd.concat([one.assign(arm=arm) for arm in arms], ignore_index=True)
    rows["score"] = np.random.default_rng(0).normal(size=len(rows))
    whole, apart = tmp_path / "whole", tmp_path / "apart"
    _write(whole / f"all.{ending}", rows.sort_values([order, "arm", "item_id", "response"]))
    for arm in (arms[0], arms[-1]):
        _write(apart / f"{arm}.parquet", rows[rows["arm"] == arm].drop(columns="arm"))

    parts = [len(part) for part in read_file(whole / f"all.{ending}", "", problems=[], notes={})]
    found = {model.arm: model.identity for model in read_foreign_scores(whole).models}

    assert sum(parts) == len(rows)
    assert len(parts) > 1
    assert max(parts) < 1.2 * PART_ROWS
    assert list(found) == arms
    for model in read_foreign_scores(apart).models:
        assert found[model.arm] == model.identity, "scores come back to the bit"


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_column_has_one_type_whatever_its_first_rows_hold(tmp_path: Path, ending: str) -> None:
    rows = _rows(items=40_000).astype({"score": object})
    rows.loc[:70_000, "score"] = 1
    rows.loc[70_001, "score"] = None if ending == "jsonl" else "NA"
    rows.loc[70_002:, "score"] = 0.5

    _write(tmp_path / f"a.{ending}", rows)

    found = read_foreign_scores(tmp_path)
    table = found.scores(found.models[0], "test", purpose="reporting")
    assert table is not None
    assert np.isnan(table["score"].to_numpy()).sum() == 1
    assert table["score"].to_pylist().count(1.0) == 70_001


def test_rows_that_contradict_one_another_are_refused(tmp_path: Path) -> None:
    rows = _rows()
    again = rows.iloc[:1].assign(score=9.0)
    _write(tmp_path / "a.csv", pd.concat([rows, again]))
    _write(tmp_path / "b.csv", rows.assign(rank=rows["rank"].to_numpy()[::-1], score=1.0))

    with pytest.raises(InputError) as refused:
        read_foreign_scores(tmp_path)

    assert "a seed 0, benchmark 'test': 1 rows contradict others, such as item '000'" in str(
        refused.value
    )
    assert "models disagree on rank of 6 items" in str(refused.value)


def test_a_benchmark_is_of_one_split(tmp_path: Path) -> None:
    mixed = pd.concat([_rows(), _rows(split="validation").assign(benchmark="test")])
    mixed["item_id"] = mixed["split"] + mixed["item_id"]
    _write(tmp_path / "a.csv", mixed)

    with pytest.raises(InputError, match="holds test and validation items"):
        read_foreign_scores(tmp_path)


def test_no_folder_and_an_empty_one_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        read_foreign_scores(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no score table"):
        read_foreign_scores(tmp_path)
