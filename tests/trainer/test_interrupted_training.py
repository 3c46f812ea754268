"""`train` as its user ends it and goes on: Ctrl-C, `kill -9`, and what an earlier run left."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import trainer.__main__
from sweep.cli import main
from tests.trainer.trials import small_config

LONG: dict[str, Any] = {
    "data": {"pairs": 96},
    "head": {"dropout": 0.2},
    "strategy": {"batch_pairs": 8, "epochs": 8},
    "evaluation": {
        "during": [0.05, 0.1],
        "benchmarks": {"validation": {"parts": {"scenes": 10}}},
    },
}
"""96 steps, checkpoints after 5 and 10, and dropout, whose random state is kept, too."""
LONGEST_SECONDS = 300.0


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    said: str


Train = Callable[..., Ended]


@pytest.fixture
def file(backbone_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RMSWEEP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(small_config(backbone_folder, **LONG).model_dump(mode="json")))
    return path


@pytest.fixture
def train(file: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Train into a folder, alone or as `rmsweep train`; what it says on the error stream."""

    def command(out: Path, *more: str, alone: bool = True) -> Ended:
        capsys.readouterr()
        arguments = [str(file), "--out", str(out), *more]
        code = trainer.__main__.main(arguments) if alone else main.run(["train", *arguments])
        return Ended(code, " ".join(capsys.readouterr().err.split()))

    return command


def wait_for_checkpoint(out: Path, *, after: int = 0) -> None:
    """Until one of a later step is whole."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not any(step > after for step in whole_checkpoints(out)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def whole_checkpoints(out: Path) -> list[int]:
    manifests = out.glob("trials/*/checkpoints/*/manifest.json")
    return sorted(int(path.parent.name.removeprefix("step-")) for path in manifests)


@contextmanager
def ctrl_c_after_a_checkpoint(out: Path) -> Iterator[None]:
    """Sent to this process by somebody else, as from a terminal."""

    def send() -> None:
        wait_for_checkpoint(out)
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    sender.start()
    yield
    sender.join()


@contextmanager
def begun(file: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a terminal starts it."""
    # Who runs the tests in the background has Ctrl-C ignored, and what they start inherits it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "trainer", str(file), "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def weights(out: Path) -> bytes:
    (path,) = out.glob("trials/*/model/model.safetensors")
    return path.read_bytes()


def attempts(out: Path) -> list[int | None]:
    """At which step each attempt of the only trial began."""
    (path,) = out.glob("trials/*/record.json")
    begun_at = [each["resumed_from"] for each in json.loads(path.read_text())["attempts"]]
    return [None if each is None else each["step"] for each in begun_at]


@pytest.mark.parametrize("alone", [True, False], ids=["trainer", "rmsweep train"])
def test_ctrl_c_leaves_a_checkpoint_and_the_same_command_goes_on_from_there_to_the_bit(
    alone: bool, train: Train, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(whole, alone=alone).code == 0

    with ctrl_c_after_a_checkpoint(broken):
        stopped = train(broken, alone=alone)
    again = train(broken, alone=alone)

    assert stopped.code == 130
    assert "stopping after this step, with a checkpoint; once more ends it at once" in stopped.said
    found = re.findall(r"stopped after step (\d+); the same command goes on", stopped.said)
    assert again.code == 0, again.said
    assert f"left a checkpoint at step {found[0]}: going on from there" in again.said
    assert attempts(broken) == [None, int(found[0])]
    assert weights(broken) == weights(whole)


def test_a_whole_process_group_told_to_terminate_leaves_a_checkpoint(
    file: Path, train: Train, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with begun(file, out) as process:
        wait_for_checkpoint(out)
        os.killpg(process.pid, signal.SIGTERM)
        said = process.communicate(timeout=LONGEST_SECONDS)[1]
    again = train(out)

    assert process.returncode == 130, said
    (step,) = re.findall(r"stopped after step (\d+); the same command goes on", said)
    assert again.code == 0, again.said
    assert attempts(out) == [None, int(step)]


def test_a_killed_training_goes_on_from_its_last_whole_checkpoint_or_anew_when_asked(
    file: Path, train: Train, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with begun(file, out) as process:
        wait_for_checkpoint(out, after=5)
        ranks = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        psutil.wait_procs(ranks, timeout=LONGEST_SECONDS)
    before, newest = whole_checkpoints(out)
    shards = (each for each in out.rglob("*.pt") if f"step-{newest}" in each.parts)
    shard = max(shards, key=lambda path: path.stat().st_size)
    shard.write_bytes(shard.read_bytes()[:-1])

    again = train(out, alone=False)
    anew = train(out, "--anew", alone=False)

    assert (again.code, anew.code) == (0, 0), again.said + anew.said
    assert f"warning: the checkpoint at step {newest} was refused" in again.said
    assert f"trained on from step {before}" in again.said
    assert "earlier run" not in anew.said
    assert attempts(out) == [None, before, None]


def test_where_no_checkpoint_is_whole_a_training_begins_anew_and_says_so(
    train: Train, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with ctrl_c_after_a_checkpoint(out):
        train(out)
    for manifest in out.glob("trials/*/checkpoints/*/manifest.json"):
        manifest.unlink()

    again = train(out)

    assert again.code == 0, again.said
    assert "there is no complete checkpoint at" in again.said
    assert "no other is left, so train from the beginning: done so" in again.said
    assert attempts(out) == [None, None]


def test_what_was_left_in_another_layout_is_refused_and_stays(train: Train, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ctrl_c_after_a_checkpoint(out):
        train(out)
    left = whole_checkpoints(out)

    again = train(out, "--set", "machine.workers=2", alone=False)

    assert again.code == 2
    assert "saved by 1 ranks at ZeRO stage 0, but this attempt has 2 at stage 0" in again.said
    assert whole_checkpoints(out) == left


def test_reports_that_cannot_be_read_are_named(train: Train, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ctrl_c_after_a_checkpoint(out):
        train(out)
    (reports,) = out.glob("trials/*/metrics.jsonl")
    reports.write_bytes(bytes(range(256)))

    again = train(out)

    assert again.code == 1
    assert "metrics.jsonl in file:" in again.said
    assert "holds what no training reports; delete it" in again.said


def test_ctrl_c_while_the_libraries_are_imported_prints_no_traceback(
    file: Path, tmp_path: Path
) -> None:
    with begun(file, tmp_path / "out") as process:
        deadline = time.monotonic() + LONGEST_SECONDS
        while not any(map(has_torch, psutil.Process(process.pid).children(recursive=True))):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # a terminal tells everybody in it
        said = process.communicate(timeout=LONGEST_SECONDS)[1]

    assert (process.returncode, said) == (130, "stopped\n")


def has_torch(process: psutil.Process) -> bool:
    """Whether it has begun to load it."""
    try:
        return any("libtorch" in each.path for each in process.memory_maps())
    except psutil.Error:
        return False


@pytest.mark.parametrize("alone", [True, False], ids=["trainer", "rmsweep train"])
def test_a_folder_that_cannot_be_written_to_is_wrong_input(
    alone: bool, file: Path, train: Train
) -> None:
    for out in (file, file / "below", Path("/proc/none")):
        refused = train(out, alone=alone)

        assert refused.code == 2
        assert f"nothing can be kept at file:{out}: " in refused.said
