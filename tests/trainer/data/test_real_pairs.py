"""Real preference data, where it lies beside the repository: cartoon captions and NLVR."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.trainer.data.pair_file_writing import write_rows
from trainer.config import SourceConfig
from trainer.data.pair_files import PairFileSettings, PairFileSource
from trainer.data.sources import open_source

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"

needs_captions = pytest.mark.skipif(
    not (DATA / "caption-contest" / "pairs.jsonl").exists(),
    reason="the caption contest pairs are not in ../shared/data",
)
needs_nlvr = pytest.mark.skipif(
    not (DATA / "nlvr" / "dev.jsonl").exists(), reason="NLVR is not in ../shared/data"
)


@needs_captions
def test_caption_pairs_are_read_as_they_are_and_split_by_cartoon() -> None:
    columns = {"margin": "margin_z", "category": "strength", "group_id": "contest"}
    source = open_source(
        SourceConfig(
            kind="file",
            settings={
                "path": str(DATA / "caption-contest" / "pairs.jsonl"),
                "image_folder": "images",
                "columns": columns,
            },
        )
    )
    assert isinstance(source, PairFileSource)
    report = source.report()

    assert report.kept > 0.99 * report.rows
    assert set(report.dropped) <= {"a repetition of another row"}
    assert report.groups == 99
    shown: dict[str, set[str]] = defaultdict(set)
    for split in ("train", "validation", "test"):
        for item in source.items(split, 10**6, seed=0):
            shown[split].add(item.images[0].key)
            assert item.margin is not None
            assert item.category in {"clear", "moderate", "near-tie"}
    assert not shown["train"] & shown["test"]
    assert not shown["validation"] & (shown["train"] | shown["test"])


@needs_nlvr
def test_nlvr_keeps_its_leak_groups_together(tmp_path: Path) -> None:
    lines = (DATA / "nlvr" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    rows = []
    for line in lines[:300]:
        row = json.loads(line)
        right, wrong = ("Yes.", "No.") if row["label"] == "true" else ("No.", "Yes.")
        # The two images of a row are the same boxes in another order.
        rows += [
            {
                "prompt": f"Is this true: {row['sentence']}?",
                "chosen": right,
                "rejected": wrong,
                "image": image,
                "group_id": row["group"],
            }
            for image in row["images"]
        ]
    path = write_rows(tmp_path / "nlvr.jsonl", rows)
    folder = str((DATA / "nlvr" / "dev").resolve())
    source = PairFileSource(PairFileSettings(path=str(path), image_folder=folder))
    declared = {row["prompt"] + row["image"]: row["group_id"] for row in rows}
    home: dict[str, str] = {}

    items = [*source.items("train", 10**6, seed=0), *source.items("test", 10**6, seed=0)]
    assert len(items) > 400
    for item in items:
        name = Path(str(getattr(item.images[0], "path", ""))).name
        group = declared[item.prompt + name]
        assert home.setdefault(group, item.group_id) == item.group_id
