"""Rows on S3, against a real server: one object, or all below a prefix with their images."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import MissingError
from infra.s3_store import S3Store
from tests.infra.test_s3_store import BUCKET, credentials, server
from tests.trainer.data.pair_file_writing import text_row, write_image, write_rows
from trainer.data.pair_files import PairFileSettings, PairFileSource

__all__ = ["credentials", "server"]


@pytest.mark.slow
def test_rows_and_images_below_a_prefix_are_fetched_once(
    credentials: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMSWEEP_HOME", str(tmp_path / "home"))
    store = S3Store(f"s3://{BUCKET}/set")
    image = write_image(tmp_path / "a.png", 3)
    rows = [text_row(1, image="shown/a.png"), text_row(2), text_row(3, image="gone.png")]
    store.upload(image, "shown/a.png")
    store.upload(write_rows(tmp_path / "rows.jsonl", rows), "rows.jsonl")

    source = PairFileSource(PairFileSettings(path=f"s3://{BUCKET}/set/"))
    assert source.report().kept == 2
    assert source.report().dropped == {"a missing image": 1}
    one = PairFileSource(PairFileSettings(path=f"s3://{BUCKET}/set/rows.jsonl"))
    assert one.report().rows == 3
    store.delete("rows.jsonl")
    assert PairFileSource(PairFileSettings(path=f"s3://{BUCKET}/set/")).report().kept == 2
    with pytest.raises(MissingError, match="no object at"):
        PairFileSource(PairFileSettings(path=f"s3://{BUCKET}/nothing/")).report()
