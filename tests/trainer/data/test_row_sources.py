"""Published sets as sources: wherever the rows lie, and however large they are."""

from __future__ import annotations

import gzip
import json
import os
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infra.errors import DataError, MissingError
from tests.trainer.data.pair_file_writing import text_row, write_image, write_rows
from tests.trainer.data.published_rows import BENCHMARKS, PIXEL, TRAINING
from trainer.config import SourceConfig
from trainer.data import item_index
from trainer.data.adapters import adapter as adapter_module
from trainer.data.adapters.adapter import Adapter, Row, adapters
from trainer.data.item_index import IndexedItems
from trainer.data.items import PreferenceItem
from trainer.data.pair_files import PairFileSource
from trainer.data.pair_rows import PairRow, parse_row
from trainer.data.sources import open_source


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("RMSWEEP_HOME", str(folder))
    return folder


def opened(kind: str, path: Path | str, **settings: Any) -> PairFileSource:  # noqa: ANN401 -- any setting
    source = open_source(SourceConfig(kind=kind, settings={"path": str(path), **settings}))
    assert isinstance(source, PairFileSource)
    return source


def every_item(source: PairFileSource) -> list[PreferenceItem]:
    return [i for s in ("train", "validation", "test") for i in source.items(s, 10**6, seed=0)]


@pytest.mark.parametrize("name", sorted({**TRAINING, **BENCHMARKS}))
def test_every_adapter_is_a_kind_of_source(tmp_path: Path, name: str) -> None:
    row = {**TRAINING, **BENCHMARKS}[name]
    for shade, image in enumerate(("x.png", "y.png", "data/long/x.png")):
        write_image(tmp_path / image, shade)
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    items = every_item(opened(name, tmp_path / "rows.parquet"))

    assert items
    for item in items:
        assert min(response.rank for response in item.responses) == 1
        assert all(image.load().mode == "RGB" for image in item.images)


def test_an_image_in_the_row_is_the_same_as_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(PIXEL)
    inside = {**TRAINING["rlaif-v"]}
    beside = {**inside, "image": "x.png"}
    for name, row in (("inside", inside), ("beside", beside)):
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / f"{name}.parquet")
    one, other = (
        every_item(opened("rlaif-v", tmp_path / f"{n}.parquet"))[0] for n in ("inside", "beside")
    )

    assert one.images[0].key == other.images[0].key
    assert one.images[0].load().tobytes() == other.images[0].load().tobytes()
    assert (one.item_id, one.group_id) == (other.item_id, other.group_id)


def test_a_benchmark_is_all_test_and_keeps_order_ids_and_doubles(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(PIXEL)
    row = {**BENCHMARKS["vl-rewardbench"], "image": "x.png"}
    rows = [{**row, "query": f"What {n}?", "id": f"povid-{n // 2}"} for n in range(6)]
    source = opened("vl-rewardbench", write_rows(tmp_path / "rows.jsonl", rows))
    items = source.items("test", 99, seed=0)

    assert sorted(item.item_id for item in items) == [
        "povid-0", "povid-0#2", "povid-1", "povid-1#2", "povid-2", "povid-2#2",
    ]  # fmt: skip
    assert all([r.text for r in item.responses] == row["response"] for item in items)
    assert not source.items("train", 99, seed=0)


def test_a_folder_is_read_file_by_file_also_packed(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    write_rows(folder / "a.jsonl", [text_row(1), text_row(2)])
    (folder / "b.json").write_text(json.dumps({"data": [text_row(3)]}))
    with gzip.open(folder / "c.jsonl.gz", "wt") as file:
        file.write(json.dumps(text_row(4)))
    (folder / "notes.txt").write_text("not rows")

    assert opened("file", folder).report().kept == 4
    assert opened("file", folder, files="*.jsonl").report().kept == 2


def test_a_packed_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(text_row(4)).encode())[:-9])

    with pytest.raises(DataError, match=r"c\.jsonl\.gz cannot be read as jsonl"):
        opened("file", path).report()


def test_a_file_that_is_damaged_inside_or_nested_without_end_is_named(tmp_path: Path) -> None:
    packed, nested = tmp_path / "c.jsonl.gz", tmp_path / "d.json"
    rows = "\n".join(json.dumps(text_row(number)) for number in range(300))
    data = gzip.compress(rows.encode())
    packed.write_bytes(data[:60] + bytes(each ^ 0x55 for each in data[60:90]) + data[90:])
    nested.write_text("[" * 100_000)

    with pytest.raises(DataError, match=r"c\.jsonl\.gz cannot be read as jsonl"):
        opened("file", packed).report()
    with pytest.raises(DataError, match=r"d\.json cannot be read as json"):
        opened("file", nested).report()


def test_what_looks_like_a_hub_name_is_told_how_to_write_it() -> None:
    with pytest.raises(MissingError, match="is written hf://openbmb/RLAIF-V-Dataset"):
        opened("rlaif-v", Path("openbmb/RLAIF-V-Dataset")).report()


def test_a_hub_data_set_gives_the_items_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is optional")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    folder = tmp_path / "rlaif"
    folder.mkdir()
    rows = [{**TRAINING["rlaif-v"], "question": f"What {n}?"} for n in range(5)]
    data = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    data.to_parquet(str(folder / "train.parquet"))

    hub = every_item(opened("rlaif-v", f"hf://{folder}"))
    assert len(hub) == 5
    assert sorted(i.item_id for i in hub) == sorted(
        i.item_id for i in every_item(opened("rlaif-v", folder / "train.parquet"))
    )
    with pytest.raises(DataError, match="'nowhere', cannot be loaded"):
        opened("rlaif-v", f"hf://{folder}", hub_split="nowhere").report()


def test_a_large_source_is_mapped_from_disk_and_gives_the_same_items(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "x.png", 1)
    rows = [text_row(n, soft_label=0.75, margin=2.0, chosen_critique="c") for n in range(1500)]
    rows.append(text_row(1500, image="x.png", category="seen"))
    path = write_rows(tmp_path / "rows.jsonl", rows)
    small = opened("file", path)
    expected = [small.items(s, 10**6, seed=4) for s in ("train", "validation", "test")]
    digest = small.digest("train", 500, seed=4)

    monkeypatch.setattr(item_index, "IN_MEMORY_BYTES", 10_000)
    for _ in range(2):  # the second time from what the first has left
        large = opened("file", path)
        found = [large.items(s, 10**6, seed=4) for s in ("train", "validation", "test")]
        assert isinstance(found[0], IndexedItems)
        assert found == expected
        assert found[0][:7] == expected[0][:7]
        assert found[0][-1] == expected[0][-1]
        assert large.digest("train", 500, seed=4) == digest
        assert large.report() == small.report()
    indexes = list((home / "data" / "indexes").iterdir())
    assert len(indexes) == 1

    write_rows(path, rows[:20])
    assert opened("file", path).report().kept == 20


def test_an_index_is_built_anew_only_where_images_were_missing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_index, "IN_MEMORY_BYTES", 1000)
    rows = [text_row(n) for n in range(600)]
    write_image(tmp_path / "here.png", 1)
    whole = write_rows(tmp_path / "whole.jsonl", [*rows, text_row(700, image="here.png")])
    part = write_rows(tmp_path / "part.jsonl", [*rows, text_row(700, image="late.png")])

    def kept() -> list[int]:
        return [opened("file", path).report().kept for path in (whole, part)]

    def built() -> int:
        return len(list((home / "data" / "indexes").iterdir()))

    assert (kept(), built()) == ([601, 600], 2)
    write_image(tmp_path / "late.png", 2)
    assert (kept(), built()) == ([601, 601], 3)
    assert (kept(), built()) == ([601, 601], 3)


def test_an_image_replaced_in_place_is_refused_until_its_rows_are_touched(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_index, "IN_MEMORY_BYTES", 1000)
    rows = [text_row(n, image="x.png") for n in range(600)]
    write_image(tmp_path / "x.png", 1)
    path = write_rows(tmp_path / "rows.jsonl", rows)
    assert opened("file", path).report().kept == 600
    write_image(tmp_path / "x.png", 2)

    with pytest.raises(DataError, match=r"x\.png has changed .* `touch` the file of rows"):
        every_item(opened("file", path))[0].images[0].load()
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert every_item(opened("file", path))[0].images[0].load().mode == "RGB"
    assert len(list((home / "data" / "indexes").iterdir())) == 2


def test_contradicting_judgements_are_counted_and_left_out_when_asked(tmp_path: Path) -> None:
    swapped = text_row(1, chosen="Bad answer 1.", rejected="Good answer 1.")
    path = write_rows(tmp_path / "rows.jsonl", [text_row(1), text_row(2), swapped])

    kept = opened("file", path).report()
    assert (kept.kept, kept.contradicted) == (3, 2)
    dropped = opened("file", path, contradictions="drop")
    assert dropped.report().dropped == {
        "another row that judges the same responses the other way round": 2
    }
    assert [item.prompt for item in every_item(dropped)] == ["Question 2?"]
    assert (kept.best_first, dropped.report().best_first) == (3, 1)


def _two_words(row: Row) -> list[PairRow]:
    better, worse = row["pair"].split(">")
    return [parse_row({"prompt": "Which?", "chosen": better, "rejected": worse}, {})]


MINE = Adapter(name="two-words", doc="a user's own", convert=_two_words)
TAKEN = Adapter(name="shp", doc="a user's own", convert=_two_words)


def _installed(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    points = EntryPoints([EntryPoint(name, value, "rmsweep.adapters")])
    monkeypatch.setitem(sys.modules, "brought_by_a_user", sys.modules[__name__])
    monkeypatch.setattr(adapter_module, "entry_points", lambda group: points.select(group=group))
    adapters.cache_clear()


@pytest.fixture
def _forget_adapters() -> Any:  # noqa: ANN401 -- a generator
    yield
    adapters.cache_clear()


@pytest.mark.usefixtures("_forget_adapters")
def test_a_user_s_own_adapter_is_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "two-words", "brought_by_a_user:MINE")
    path = write_rows(tmp_path / "rows.jsonl", [{"pair": "yes>no"}, {"pair": "yes"}, {"x": 1}])
    source = opened("two-words", path)

    assert source.report().dropped == {"not a row of this data set": 2}
    assert [r.text for r in sorted(every_item(source)[0].responses, key=lambda r: r.rank)] == [
        "yes", "no",
    ]  # fmt: skip


@pytest.mark.usefixtures("_forget_adapters")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("brought_by_a_user:TAKEN", "'shp' is defined twice"),
        ("brought_by_a_user:test_a_user_s_own_adapter_is_a_kind", "must be a .*Adapter"),
        ("no_such_module_here:MINE", "cannot be loaded"),
    ],
)
def test_a_broken_adapter_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, message: str
) -> None:
    _installed(monkeypatch, "mine", value)

    with pytest.raises(DataError, match=message):
        adapters()
