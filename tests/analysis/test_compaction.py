"""Compaction: the same scores to the bit, read once, added to as trials end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from analysis import compaction
from analysis.compaction import Compaction, Member, compact
from analysis.tables import read_sweep
from infra.errors import DiskFullError
from infra.object_store import LocalStore
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis, score_rows
from trainer.evaluation.metrics import pair_outcomes
from trainer.scores import score_key, write_scores


def _table(number: int, *, items: int = 12) -> pa.Table:
    recipe = Recipe(items=items)
    return score_rows(
        benchmark="test",
        definition=recipe.benchmarks["test"],
        arm=MadeArm(name="a", point={}),
        luck=0.0,
        rng=np.random.default_rng(number),
        recipe=recipe,
    )


class Folder:
    """Trials and how often each one's table was read."""

    def __init__(self, root: Path) -> None:
        self.store = LocalStore(root)
        self.tables: dict[str, pa.Table] = {}
        self.read: list[str] = []

    def bring_up_to_date(self) -> Compaction:
        return compact(self.store, "tables/s/test", self.members, self._read)

    @property
    def members(self) -> list[Member]:
        return [Member(identity=name, key=f"key of {name}") for name in self.tables]

    def scores(self) -> dict[str, list[float]]:
        blocks = self.bring_up_to_date().blocks(self.members)
        return {
            name: block.scores[row].tolist()
            for block in blocks
            for row, name in enumerate(block.identities)
        }

    def _read(self, member: Member) -> pa.Table:
        self.read.append(member.identity)
        return self.tables[member.identity]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_scores_come_back_to_the_bit_and_tables_are_read_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "PART_TRIALS", 4)
    folder.tables = {f"t{i}": _table(i) for i in range(10)}

    first = folder.scores()
    again = folder.scores()

    assert sorted(folder.read) == sorted(folder.tables)
    assert first == again
    for name, table in folder.tables.items():
        assert first[name] == table["score"].to_pylist()


def test_new_trials_join_the_small_parts(folder: Folder) -> None:
    for number in range(5):
        folder.tables[f"t{number}"] = _table(number)
        folder.bring_up_to_date()

    found = folder.scores()

    assert folder.read == [f"t{i}" for i in range(5)]
    assert len(found) == 5
    assert len([key for key in folder.store.keys("") if "layout-" not in key]) == 2  # part and list


def test_models_on_other_items_get_a_layout_of_their_own(folder: Folder) -> None:
    folder.tables = {"long": _table(0, items=12), "short": _table(1, items=8), "b": _table(2)}

    blocks = list(folder.bring_up_to_date().blocks(folder.members))

    assert sorted((len(block.layout.pairs), len(block.identities)) for block in blocks) == [
        (8, 1),
        (12, 2),
    ]
    for block in blocks:
        for row, name in enumerate(block.identities):
            expected = pair_outcomes(folder.tables[name])["margin_score"]
            assert block.layout.margins(block.scores)[row] == pytest.approx(expected.to_numpy())


def test_rows_in_another_order_are_the_same_layout(folder: Folder) -> None:
    table = _table(0)
    shuffled = table.take(np.random.default_rng(0).permutation(table.num_rows))
    folder.tables = {"a": table, "b": shuffled}

    scores = folder.scores()

    assert scores["a"] == scores["b"]


class FullStore(LocalStore):
    """A store without space."""

    def write(self, key: str, data: bytes) -> None:
        raise DiskFullError(f"no space left while writing {key!r}")


def test_a_store_that_is_full_costs_the_compaction_not_the_scores(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.store = FullStore(tmp_path)
    folder.tables = {f"t{i}": _table(i) for i in range(3)}

    assert len(folder.scores()) == 3
    assert len(folder.scores()) == 3
    assert len(folder.read) == 6


def test_a_driver_killed_between_part_and_list_leaves_nothing_that_counts(folder: Folder) -> None:
    folder.tables = {"a": _table(0)}
    folder.bring_up_to_date()
    (listed,) = [key for key in folder.store.keys("") if key.endswith(".json")]
    folder.store.delete(listed)

    assert folder.scores()["a"] == folder.tables["a"]["score"].to_pylist()
    assert folder.read == ["a", "a"]


def test_two_reports_at_once_leave_each_other_all_scores(folder: Folder) -> None:
    folder.tables = {"a": _table(0)}
    slow = folder.bring_up_to_date()
    folder.tables["b"] = _table(1)
    folder.bring_up_to_date()

    (block,) = slow.blocks(folder.members[:1])

    assert block.scores[0].tolist() == folder.tables["a"]["score"].to_pylist()


def test_a_report_that_adds_while_another_joins_loses_nothing(folder: Folder) -> None:
    folder.tables = {"a": _table(0)}
    folder.bring_up_to_date()
    other = Folder(folder.store.root)
    other.tables = folder.tables | {"c": _table(2)}
    folder.tables["b"] = _table(1)

    def read_while_another_joins(member: Member) -> pa.Table:
        other.bring_up_to_date()
        return folder.tables[member.identity]

    found = compact(folder.store, "tables/s/test", folder.members, read_while_another_joins)

    blocks = list(found.blocks(folder.members))
    assert sorted(name for block in blocks for name in block.identities) == ["a", "b"]
    folder.tables |= other.tables
    assert sorted(folder.scores()) == ["a", "b", "c"]


def test_a_part_that_is_lost_costs_time_alone(folder: Folder) -> None:
    folder.tables = {"a": _table(0)}
    folder.bring_up_to_date()
    for key in folder.store.keys(""):
        if key.endswith(".parquet") and "layout-" not in key:
            folder.store.delete(key)

    assert folder.scores()["a"] == folder.tables["a"]["score"].to_pylist()


def _right(made: MadeSweep) -> list[float]:
    tables = read_sweep(made.ledger, made.sweep_id)
    values: list[float] = tables.outcomes("test", purpose="reporting").values[0].tolist()
    return values


def test_what_another_sweep_made_of_a_model_leaves_a_sweep_s_own_scores_alone(
    tmp_path: Path,
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=40, seeds=1))
    tables = read_sweep(made.ledger, made.sweep_id)
    before = _right(made)
    (trial,) = tables.succeeded()
    other = _table(99, items=40)
    key = score_key(trial.identity, "test", evaluation="another")
    made.store.write(key, write_scores(other))

    made.ledger.record_evaluation(
        trial.identity, "test", evaluation_identity="another", metrics={"accuracy": 0.5}
    )

    # The sweep trained it and scored it as its file asks: what others made of it is theirs.
    assert _right(made) == before != pair_outcomes(other)["correct"].tolist()


def test_items_come_some_trials_at_a_time(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.5}), items=40, seeds=2))
    tables = read_sweep(made.ledger, made.sweep_id)

    batches = list(tables.item_batches("test", purpose="reporting"))

    assert len(batches) == 4
    assert sum(map(len, batches)) == len(tables.items("test", purpose="reporting")) == 160
