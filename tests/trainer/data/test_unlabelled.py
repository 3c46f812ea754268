"""Rows to be scored come back in order, labelled or not, and what cannot be scored is told."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from trainer.data.unlabelled import items_to_score


def _file(folder: Path, *rows: object) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_rows_without_ranks_keep_their_order_and_their_number(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        {"prompt": "p", "responses": ["a", "b", "c"]},
        {"prompt": "q", "response": "only one"},
        {"prompt": "r", "chosen": "good", "rejected": "bad"},
    )

    items, unusable = items_to_score(path)

    assert [item.item_id for item in items] == ["1", "2", "3"]
    assert [[one.text for one in item.responses] for item in items] == [
        ["a", "b", "c"],
        ["only one"],
        ["good", "bad"],
    ]
    assert [one.rank for one in items[2].responses] == [1, 2]
    assert unusable == []


def test_rows_that_cannot_be_scored_are_told_by_number_and_reason(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "fine.png")
    path = _file(
        tmp_path,
        {"prompt": "p", "responses": ["a", " "]},
        {"prompt": "p", "response": "a", "image": "../outside.png"},
        {"prompt": "p", "response": "a", "image": "gone.png"},
        {"prompt": "p", "response": "a", "image": "fine.png"},
        {"responses": ["a"]},
    )

    items, unusable = items_to_score(path)

    assert [item.item_id for item in items] == ["4"]
    assert [number for number, _ in unusable] == [1, 2, 3, 5]
    assert "outside" in unusable[1][1]
