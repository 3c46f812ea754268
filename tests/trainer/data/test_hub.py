"""Data sets of the hub over its HTTP interface, as `data inspect` reads them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.data.hub_server import TOKEN, HubSet, hub_of
from tests.trainer.data.published_rows import PIXEL, TRAINING

pytestmark = pytest.mark.slow  # thirteen commands, which load the hub's library
datasets = pytest.importorskip("datasets", reason="datasets is optional")

Inspect = Callable[..., str]
"""Of a source and further arguments: JSON, or what was wrong."""


def parquet(rows: list[dict[str, Any]], **features: Any) -> bytes:  # noqa: ANN401 -- of datasets
    data = datasets.Dataset.from_list(rows)
    known = datasets.Features({**data.features, **features})
    file = io.BytesIO()
    datasets.Dataset.from_list(rows, features=known).to_parquet(file)
    return file.getvalue()


def pairs(count: int) -> list[dict[str, Any]]:
    return [{**TRAINING["rlaif-v"], "question": f"What {n}?"} for n in range(count)]


@pytest.fixture(scope="module")
def inspect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inspect]:
    listed = [
        {**TRAINING["mmif"], "images": [{"bytes": PIXEL, "path": None}], "chosen": f"A {n}"}
        for n in range(4)
    ]
    image = datasets.Image()
    now = {"README.md": b"# A set", "data/train-0.parquet": parquet(pairs(5), image=image)}
    early = {"data/train-0.parquet": parquet(pairs(3), image=image)}
    lists = {"data/train-0.parquet": parquet(listed, images=datasets.List(image))}
    sets = {
        "who/set": HubSet({"main": now, "v1": early}),
        "who/lists": HubSet({"main": lists}),
        "who/closed": HubSet({"main": now}, private=True),
    }
    with hub_of(sets) as address:

        def inspected(source: str, *more: str, token: str = "") -> str:
            home: Path = tmp_path_factory.mktemp("home")
            # Address and token are read as the hub's library is imported.
            known = {"HF_ENDPOINT": address, "HF_HOME": str(home / "hf"), "HF_TOKEN": token}
            told = {"RMSWEEP_HOME": str(home), "HF_HUB_OFFLINE": "0", "COLUMNS": "400"}
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "sweep.cli.main",
                    "data",
                    "inspect",
                    source,
                    "--json",
                    *more,
                ],
                cwd=home,
                env=os.environ | known | told,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == (0 if done.stdout else 2), done.stderr
            assert "Traceback" not in done.stderr
            return done.stdout or " ".join(done.stderr.split())

        yield inspected


def kept(answer: str) -> int:
    report = json.loads(answer)["sources"][0]["report"]
    assert not report["dropped"]
    return int(report["kept"])


def test_a_data_set_of_the_hub_is_read_at_the_revision_asked_for(inspect: Inspect) -> None:
    assert kept(inspect("rlaif-v:hf://who/set")) == 5
    assert kept(inspect("rlaif-v:hf://who/set", "--with", "revision=v1")) == 3
    wrong = inspect("rlaif-v:hf://who/set", "--with", "revision=v9")
    assert "Revision 'v9' doesn't exist for dataset 'who/set'" in wrong


def test_images_in_lists_come_as_they_are_stored(inspect: Inspect) -> None:
    answer = inspect("mmif:hf://who/lists")

    assert kept(answer) == 4
    assert json.loads(answer)["sources"][0]["holds"]["images"] == 4


def test_a_private_data_set_needs_a_token_and_says_so(inspect: Inspect) -> None:
    assert kept(inspect("rlaif-v:hf://who/closed", token=TOKEN)) == 5
    for token in ("", "hf_another"):
        refused = inspect("rlaif-v:hf://who/closed", token=token)
        assert "hf://who/closed cannot be loaded" in refused
        assert "set HF_TOKEN" in refused


def test_what_the_hub_does_not_have_is_named(inspect: Inspect) -> None:
    assert "'who/none' doesn't exist on the Hub" in inspect("rlaif-v:hf://who/none")
    unknown = inspect("rlaif-v:hf://who/set", "--with", "hub_split=nowhere")
    assert "split 'nowhere', cannot be loaded" in unknown
    for name in ("", "who", "who/set/data"):
        assert "expected a data set of the hub as hf://OWNER/NAME" in inspect(
            f"rlaif-v:hf://{name}"
        )
