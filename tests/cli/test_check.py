"""`check`: compact for five trials and ten thousand, complete as JSON, refused with ways out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, Command

SMALL = """\
name: small
question: Which source pays its way?
baseline: basereward-tiny
axes:
  data_mix: {members: [scenes, digits, text]}
design: {kind: leave_one_out}
"""
LARGE = """\
name: large
baseline: basereward-tiny
axes:
  strategy.learning_rate: {low: 1e-5, high: 1e-2, log: true, steps: 10}
  head.layers: [1, 2, 3, 4, 5]
  strategy.warmup: {low: 0, high: 0.3, steps: 8}
  scale: [xs, s]
design: {kind: grid}
constraints: ["scale == 'xs' or head.layers < 5"]
"""
MIXED = """\
name: mixed
baseline: basereward-tiny
axes:
  head.layers: [1, 2]
  head.pooling: [last, mean]
  scale: [xs, s]
  strategy.label_smoothing: [0, 0.1]
design: {kind: fractional, resolution: 4}
"""


def test_a_small_plan_shows_every_arm_and_what_it_takes(rmsweep: Command, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")

    answer = rmsweep("check", str(path), "--devices", "4")

    assert answer.code == 0
    for arm in ("baseline", "data_mix=without-scenes", "data_mix=without-text"):
        assert arm in answer.out
    assert "4 arms, 12 trials, 0 reused, 12 to train" in answer.out
    assert "on 4 x cpu-core" in answer.out
    assert "MiB" in answer.out
    assert len(answer.out.splitlines()) < 20


def test_a_large_plan_is_shown_by_level_and_listed_whole_as_json(
    rmsweep: Command, tmp_path: Path
) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(LARGE, encoding="utf-8")

    shown = rmsweep("check", str(path))
    listed = json.loads(rmsweep("check", str(path), "--json").out)

    assert len(shown.out.splitlines()) < 45
    assert "720 arms are shown by level; --json lists them all" in shown.out
    assert "80 combinations break a rule and are left out" in shown.out
    assert len(listed["arms"]) == 720
    assert len(listed["trials"]) == 2160
    assert len({trial["identity"] for trial in listed["trials"]}) == 2160
    assert listed["design"]["left_out"] == 80
    assert all(arm["footprint"]["device_gib"] > 0 for arm in listed["arms"])


def test_a_fraction_says_what_it_cannot_tell_apart(rmsweep: Command, tmp_path: Path) -> None:
    path = tmp_path / "mixed.yaml"
    path.write_text(MIXED, encoding="utf-8")

    answer = rmsweep("check", str(path))

    assert "fraction of resolution 4; cannot be told apart:" in answer.out
    assert "head.layers x head.pooling = scale x strategy.label_smoothing" in answer.out
    assert "layers  pooling  scale" in answer.out


def test_rungs_are_told_with_the_part_of_a_training_they_lie_at(
    rmsweep: Command, tmp_path: Path
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL + "scheduler: {kind: asha, reduction: 3, first: 1/9}\n", encoding="utf-8")

    answer = rmsweep("check", str(path))

    assert "at 0.111, 0.333 of its training an arm is compared, one in 3 goes on" in " ".join(
        answer.out.split()
    )
    assert json.loads(rmsweep("check", str(path), "--json").out)["rungs"] == [1 / 9, 1 / 3]


def test_a_staged_plan_shows_what_each_stage_trains(rmsweep: Command, tmp_path: Path) -> None:
    path = tmp_path / "staged.yaml"
    path.write_text(
        "name: staged\nbaseline: basereward-tiny\nreplicates: {seeds: 2}\naxes:\n"
        "  head.layers: [1, 2, 3]\n  strategy.warmup: {low: 0.0, high: 0.3}\n"
        "design:\n  kind: staged\n  stages:\n    - {name: depth, axes: [head.layers]}\n"
        "    - {name: rate, axes: [strategy.warmup], design: {kind: random, points: 4}}\n",
        encoding="utf-8",
    )

    shown = [line.split() for line in rmsweep("check", str(path)).out.splitlines()]
    stages = json.loads(rmsweep("check", str(path), "--json").out)["stages"]

    assert ["depth", "head.layers", "one_factor", "6"] in [line[:4] for line in shown]
    assert ["rate", "strategy.warmup", "random", "8"] in [line[:4] for line in shown]
    assert [(stage["name"], stage["to_train"], len(stage["added"])) for stage in stages] == [
        ("depth", 6, 0),
        ("rate", 8, 8),
    ]
    assert all(len(trial["identity"]) == 64 for trial in stages[1]["added"])


def test_a_device_nobody_knows_is_refused(rmsweep: Command) -> None:
    answer = rmsweep("check", "demo", "--device", "h10")

    assert answer.code == 2
    assert "unknown device 'h10'; did you mean 'h100'?" in answer.err


def test_a_gang_larger_than_the_cluster_is_named(rmsweep: Command) -> None:
    answer = rmsweep("check", "paper-table-2-head", "--devices", "4", "--device", "h100")

    assert "never: a trial needs 8 devices at once, there are 4 (--devices and" in answer.out


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ("design: {kind: tpe, trials: 6}", "3 to 18 trials are added"),
        ("replicates: {race: true, initial: 2, at_most: 5}", "0 to 9 trials are added"),
        (
            "design:\n  kind: staged\n  stages:\n    - {name: depth, axes: [head.layers]}\n"
            "    - {name: rate, axes: [strategy.learning_rate]}",
            "6 to 9 trials are added",
        ),
    ],
)
def test_a_sweep_that_grows_says_what_may_be_added_and_what_that_takes(
    rmsweep: Command, tmp_path: Path, design: str, said: str
) -> None:
    path = tmp_path / "growing.yaml"
    rates = "\n  strategy.learning_rate: [1.0e-4, 3.0e-4]" if "staged" in design else ""
    path.write_text(
        f"name: growing\nbaseline: basereward-tiny\naxes:\n  head.layers: [1, 2, 3]{rates}\n"
        f"{design}\n",
        encoding="utf-8",
    )

    text = rmsweep("check", str(path)).out
    growth = json.loads(rmsweep("check", str(path), "--json").out)["growth"]

    assert said in " ".join(text.split())
    assert "the figures below are of what is certain" in " ".join(text.split())
    assert "the least that is added counts where the budget is checked" in " ".join(text.split())
    assert 0 <= growth["least_hours"] < growth["most_hours"]


def test_a_limit_that_a_search_may_come_to_is_told_and_one_it_cannot_keep_is_refused(
    rmsweep: Command, tmp_path: Path
) -> None:
    path = tmp_path / "search.yaml"
    path.write_text(
        "name: search\nbaseline: basereward-tiny\naxes:\n"
        "  strategy.learning_rate: {low: 1.0e-5, high: 1.0e-2, log: true}\n"
        "design: {kind: tpe, trials: 6}\n",
        encoding="utf-8",
    )

    tight = rmsweep("check", str(path), "--set", "budget.gpu_hours=0.2")
    impossible = rmsweep("check", str(path), "--set", "budget.trials=12")

    assert tight.code == 0
    assert "budget.gpu_hours is 0.2, and the sweep may need up to" in " ".join(tight.err.split())
    assert impossible.code == 2
    said = " ".join(impossible.err.split())
    assert "needs 21 trials (18 of them added by the search at least), allowed are 12" in said
    assert (
        "set design.trials to 5 and replicates.seeds to 2; or set design.trials to 3; or raise "
        "budget.trials to 21"
    ) in said


def test_a_trial_that_does_not_fit_a_device_is_told_with_a_layout_that_does(
    rmsweep: Command, tmp_path: Path
) -> None:
    path = tmp_path / "large.yaml"
    path.write_text(
        "name: large\nbaseline: basereward-7b\nset: {machine.workers: 1, machine.zero_stage: 0}\n",
        encoding="utf-8",
    )

    large = rmsweep("check", str(path), "--devices", "8", "--device", "h100")
    alone = rmsweep("check", str(path), "--devices", "1", "--device", "h100")

    path.write_text(path.read_text(encoding="utf-8") + "resources: auto\n", encoding="utf-8")
    settled = rmsweep("check", str(path), "--devices", "8", "--device", "h100")

    assert settled.code == 0
    assert "would fit" not in settled.err
    assert "a h100 has 80; it would fit with machine.workers=" in " ".join(large.err.split())
    assert "does not fit: the smallest layout on at most 1 workers" in " ".join(alone.err.split())


def test_trials_that_share_a_gpu_are_priced_for_their_part_and_must_fit_it(
    rmsweep: Command, tmp_path: Path
) -> None:
    path = tmp_path / "shared.yaml"
    path.write_text(
        "name: shared\nbaseline: basereward-tiny\n"
        "set: {machine.trials_per_gpu: 1, machine.needs_gpu: true}\n"
        "axes: {head.layers: [1, 2, 3]}\n",
        encoding="utf-8",
    )

    def asked(share: int, *changes: str) -> Answer:
        changed = (f"set.machine.trials_per_gpu={share}", *changes)
        sets = [part for change in changed for part in ("--set", change)]
        return rmsweep("check", str(path), "--devices=1", "--device=h100", *sets, "--json")

    alone, shared = (json.loads(asked(share).out) for share in (1, 4))
    large = (
        "baseline=basereward-7b",
        "set.machine.workers=1",
        "set.machine.zero_stage=0",
        "axes={}",
    )
    many = " ".join(json.loads(asked(16, *large).out)["notes"])

    assert {trial["workers"] for trial in shared["trials"]} == {0.25}
    # Starting up takes most of so short a training, and four start up together.
    whole, part = (each["estimate"]["makespan_hours"]["mid"] for each in (alone, shared))
    assert part < 0.5 * whole
    assert "trials share a GPU (machine.trials_per_gpu): its memory is divided by estimate" in many
    assert any("trials share a GPU" in note for note in shared["notes"])
    assert "a h100 has 80 for 16 trials" in many


def test_spaces_lists_axes_levels_settings_and_recipes(rmsweep: Command) -> None:
    axes = {row["name"] for row in json.loads(rmsweep("spaces", "--json").out)}
    levels = json.loads(rmsweep("spaces", "paradigm", "--json").out)
    setting = rmsweep("spaces", "--settings", "head.layers")
    recipes = rmsweep("spaces", "--recipes")

    assert {"paradigm", "head", "strategy", "data_mix", "backbone", "scale"} == axes
    assert "critic" in {row["name"] for row in levels}
    assert "integer from 1 to 5" in setting.out
    assert "paper-staged" in recipes.out


def test_a_setting_that_is_no_shipped_axis_is_told_where_settings_are(rmsweep: Command) -> None:
    answer = rmsweep("spaces", "head.layers")

    assert answer.code == 2
    assert "any setting can be an axis" in answer.err
