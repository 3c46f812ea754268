"""From one sweep file to a report and an ensemble that scores, as a user types it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command
from tests.trainer.data.pair_file_writing import write_image, write_rows
from tests.trainer.data.published_rows import BENCHMARKS

pytestmark = pytest.mark.cluster

SWEEP = """\
name: spine
question: Does depth help?
baseline:
  backbone: {scale: xs}
  data: {pairs: 96, weights: {scenes: 2, text: 1}}
  strategy: {batch_pairs: 16}
  evaluation:
    benchmarks:
      validation: {split: validation, parts: {scenes: 30, text: 20}}
      test: {split: test, parts: {scenes: 30, text: 20}}
axes:
  head.layers: [1, 2]
replicates: {seeds: 2}
"""


def test_a_sweep_file_becomes_a_report_and_an_ensemble(
    rmsweep: Command, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "spine.yaml"
    file.write_text(SWEEP)
    report, ensemble = tmp_path / "report.html", tmp_path / "ensemble.json"
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(json.dumps({"prompt": "What is one plus one?", "responses": ["Two.", "Six."]}))

    ran = rmsweep("run", str(file), "--json")
    shown = json.loads(rmsweep("show", "spine", "--json").out)
    again = rmsweep("run", str(file), "--json")
    shown_again = json.loads(rmsweep("show", "spine", "--json").out)
    listed = json.loads(rmsweep("ls", "--json").out)
    stands = json.loads(rmsweep("status", "spine", "--json").out)
    reported = rmsweep("report", "spine", "--out", str(report))
    built = rmsweep("ensemble", "spine", "--out", str(ensemble))
    scored = rmsweep("score", str(ensemble), str(pairs), "--json")
    averaged = _scores_of_an_average(rmsweep, tmp_path, pairs)
    new = "fresh:test:scenes=20"
    evaluated = json.loads(rmsweep("evaluate", "spine", "--benchmark", new, "--json").out)
    evaluated_again = json.loads(rmsweep("evaluate", "spine", "--benchmark", new, "--json").out)

    assert (ran.code, json.loads(ran.out)["state"]) == (0, "succeeded")
    assert [trial["state"] for trial in shown["trials"]] == ["succeeded"] * 4
    assert all("eval/test/accuracy" in trial["metrics"] for trial in shown["trials"])
    assert again.code == 0
    assert shown_again["trials"] == shown["trials"], "a second run repeats nothing"
    assert [sweep["trials_succeeded"] for sweep in listed] == [4]
    assert stands["trials_by_state"] == {"succeeded": 4}
    assert reported.code == 0
    assert "<html" in report.read_text()
    assert built.code == 0
    assert sum(one["weight"] for one in json.loads(ensemble.read_text())["members"]) == (
        pytest.approx(1.0)
    )
    assert scored.code == 0, scored.err
    assert [row["response"] for row in json.loads(scored.out)] == [0, 1]
    assert [row["response"] for row in averaged] == [0, 1]
    assert averaged != json.loads(scored.out)
    assert [one["reused"] for one in evaluated] == [False] * 4
    assert [one["reused"] for one in evaluated_again] == [True] * 4
    assert [one["metrics"] for one in evaluated] == [one["metrics"] for one in evaluated_again]
    assert all("baseline_text_only" in one["metrics"] for one in evaluated)
    assert {one["incomplete"] for one in evaluated} == {None}
    _assert_a_published_set_without_its_videos_says_so(rmsweep, tmp_path)


def _assert_a_published_set_without_its_videos_says_so(rmsweep: Command, folder: Path) -> None:
    published = f"mm=mm-rlhf-rewardbench:{_published_without_videos(folder)}"
    missing = "3 of 170 items: not comparable with published figures"

    shown = rmsweep("evaluate", "spine", "--benchmark", published)
    again = json.loads(rmsweep("evaluate", "spine", "--benchmark", published, "--json").out)

    assert "text only" in shown.out
    assert "acc_plus" in shown.out
    assert f"warning: mm: {missing}" in shown.err
    assert {one["incomplete"] for one in again} == {missing}
    trial = json.loads(rmsweep("show", "spine", "--json").out)["trials"][0]
    assert trial["incomplete"] == {"mm": missing}


def _published_without_videos(folder: Path) -> Path:
    """Rows of MM-RLHF-RewardBench, one of which is about a video."""
    shape = BENCHMARKS["mm-rlhf-rewardbench"]
    rows = [
        {**shape, "id": f"b_{n}", "image": write_image(folder / f"long-{n}.png", n).name}
        for n in range(3)
    ]
    rows.append({**shape, "id": "b_3", "image": None, "video": "data/video/x.mp4"})
    return write_rows(folder / "mm.jsonl", rows)


def _scores_of_an_average(rmsweep: Command, folder: Path, pairs: Path) -> list[dict[str, Any]]:
    """Merge trained models of one architecture, write the ensemble, score with it."""
    path = folder / "averaged.json"
    built = rmsweep("ensemble", "spine", "--merge", "--method", "merged", "--out", str(path))
    assert built.code == 0, built.err
    assert "scoring the average of 2 models" in built.err
    (member,) = json.loads(path.read_text())["members"]
    assert len(member["models"]) == 2, "the two seeds of an arm; arms differ in their heads"
    scored = rmsweep("score", str(path), str(pairs), "--json")
    assert scored.code == 0, scored.err
    rows: list[dict[str, Any]] = json.loads(scored.out)
    assert all(math.isfinite(row["score"]) for row in rows)
    return rows


def test_one_trial_trains_without_a_sweep(rmsweep: Command, tmp_path: Path) -> None:
    file = tmp_path / "spine.yaml"
    file.write_text(SWEEP)

    answer = rmsweep(
        "train", str(file), "--point", "head.layers=1", "--seed", "3", "--json",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip

    outcome = json.loads(answer.out)
    assert outcome["finished"]
    record = json.loads((Path(outcome["folder"]) / "record.json").read_text())
    assert record["config"]["head"]["layers"] == 1
    assert record["config"]["seed"] == 3


def test_a_trainer_config_trains_as_it_is(rmsweep: Command, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(
        "backbone: {family: tiny-qwen2.5-vl, scale: xs}\nseed: 7\nstrategy: {batch_pairs: 8}\n"
        "data: {pairs: 16}\nevaluation: {benchmarks: {validation: {parts: {text: 4}}}}\n"
    )
    out = str(tmp_path / "out")

    answer = rmsweep("train", str(file), "--set", "head.layers=3", "--out", out, "--json")
    pointed = rmsweep("train", str(file), "--point", "head.layers=3", "--out", out)

    record = json.loads((Path(json.loads(answer.out)["folder"]) / "record.json").read_text())
    assert (record["config"]["head"]["layers"], record["config"]["seed"]) == (3, 7)
    assert pointed.code == 2
    assert "a trainer config has no axes" in pointed.err


def test_a_point_off_the_axes_is_refused_with_the_nearest_names(
    rmsweep: Command, tmp_path: Path
) -> None:
    file = tmp_path / "spine.yaml"
    file.write_text(SWEEP)

    answer = rmsweep(
        "train", str(file), "--point", "head.layer=1", "--point", "head.layers=7", "--point", "x"
    )

    assert answer.code == 2
    for part in ("head.layers", "'7'", "AXIS=LEVEL"):
        assert part in answer.err
