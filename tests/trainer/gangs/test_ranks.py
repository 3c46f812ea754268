"""Gangs of real processes: how they die, and what is told of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.errors import (
    BackboneError,
    CommunicationTrial,
    DataTrialFailure,
    DivergedTrial,
    OutOfMemoryTrial,
    PreemptedTrial,
)
from infra.object_store import LocalStore
from tests.trainer.trials import Notebook, small_config
from trainer.config import TrainerConfig
from trainer.gangs.rank_child import to_failure
from trainer.gangs.ranks import TrialProcess, run_trial
from trainer.reporting import TrialOutcome, TrialReport


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def endless(folder: Path, **sections: object) -> TrainerConfig:
    return small_config(folder, strategy={"batch_pairs": 8, "epochs": 500}, **sections)


def answer_all(process: TrialProcess, messages: Iterator[TrialReport | TrialOutcome]) -> None:
    process.answer("continue")
    for _ in messages:
        process.answer("continue")


def wait_for_end(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        alive = [pid for pid in pids if psutil.pid_exists(pid)]
        if all(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE for pid in alive):
            return True
        time.sleep(0.05)
    return False


def test_a_killed_rank_ends_the_trial_as_a_communication_failure(
    backbone_folder: Path, store: LocalStore
) -> None:
    config = endless(backbone_folder, machine={"workers": 2})
    process = TrialProcess(config, store_uri=store.uri, identity="t")
    messages = process.messages()
    next(messages)

    os.kill(process.pids[1], signal.SIGKILL)
    killed = time.monotonic()
    with pytest.raises(CommunicationTrial) as failure:
        answer_all(process, messages)

    assert time.monotonic() - killed < 20
    assert str(failure.value)
    assert wait_for_end(process.pids, 5)
    assert store.keys("trials/t/logs/attempt-1/") == [
        "trials/t/logs/attempt-1/rank-0.txt",
        "trials/t/logs/attempt-1/rank-1.txt",
    ]


def test_kill_ends_every_rank_within_a_second(backbone_folder: Path, store: LocalStore) -> None:
    config = endless(backbone_folder, machine={"workers": 2})
    process = TrialProcess(config, store_uri=store.uri, identity="t")
    messages = process.messages()
    next(messages)

    process.kill()

    assert wait_for_end(process.pids, 1)
    with pytest.raises(PreemptedTrial):
        next(messages)


def test_a_rank_that_is_killed_while_a_checkpoint_is_on_its_way_leaves_nothing_on_the_disk(
    backbone_folder: Path, store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    config = endless(backbone_folder, evaluation={"during": [0.0]})
    process = TrialProcess(config, store_uri=store.uri, identity="t")
    messages = process.messages()
    next(messages)
    assert list(own.rglob("shards"))

    process.kill()

    with pytest.raises(PreemptedTrial):
        next(messages)
    assert not list(own.glob("rmsweep-*"))


def rank_server() -> psutil.Process:
    """What the ranks of this process are forked from."""
    (server,) = (
        child for child in psutil.Process().children() if "forkserver" in " ".join(child.cmdline())
    )
    return server


def test_ranks_whose_server_has_died_train_on_and_are_killed_as_others_are(
    backbone_folder: Path, store: LocalStore
) -> None:
    process = TrialProcess(endless(backbone_folder), store_uri=store.uri, identity="t")
    messages = process.messages()
    next(messages)

    rank_server().kill()
    process.answer("continue")
    assert isinstance(next(messages), TrialReport)
    process.kill()

    assert wait_for_end(process.pids, 1)
    with pytest.raises(PreemptedTrial):
        next(messages)


def test_a_server_that_dies_while_a_rank_is_asked_of_it_is_started_again(
    backbone_folder: Path, store: LocalStore
) -> None:
    config = small_config(backbone_folder)
    run_trial(config, store_uri=store.uri, identity="warm", reporter=Notebook())
    server = rank_server()
    server.suspend()
    killer = threading.Timer(1.0, server.kill)
    killer.start()

    outcome = run_trial(config, store_uri=store.uri, identity="t", reporter=Notebook())

    killer.join()
    assert outcome.finished
    assert rank_server().pid != server.pid


def test_a_diverging_trial_says_so_and_its_traceback_is_kept(
    backbone_folder: Path, store: LocalStore
) -> None:
    config = small_config(
        backbone_folder, strategy={"batch_pairs": 8, "learning_rate": 1e30, "schedule": "constant"}
    )

    with pytest.raises(DivergedTrial, match=r"strategy\.learning_rate") as failure:
        run_trial(config, store_uri=store.uri, identity="t", reporter=Notebook())

    assert "Traceback" in failure.value.__notes__[0]
    assert b"DivergedTrial" in store.read("trials/t/logs/attempt-1/rank-0.txt")


def test_unusable_data_and_backbones_are_told_apart(
    backbone_folder: Path, store: LocalStore, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "p", "chosen": "same", "rejected": "same"}\n')
    source = {"kind": "file", "settings": {"path": str(tmp_path / "rows.jsonl")}}
    data = {"weights": {"mine": 1.0}, "sources": {"mine": source}}
    config = small_config(backbone_folder, data=data)

    with pytest.raises(DataTrialFailure, match="identical responses"):
        run_trial(config, store_uri=store.uri, identity="t", reporter=Notebook())
    with pytest.raises(BackboneError):
        run_trial(
            small_config(tmp_path / "nothing"),
            store_uri=store.uri,
            identity="t",
            reporter=Notebook(),
        )

    attempts = {key.split("/")[3] for key in store.keys("trials/t/logs/")}
    assert attempts == {"attempt-1", "attempt-2"}


def test_stopping_leaves_a_checkpoint_and_no_model(
    backbone_folder: Path, store: LocalStore
) -> None:
    notebook = Notebook(stop=lambda _: True)

    outcome = run_trial(
        endless(backbone_folder), store_uri=store.uri, identity="t", reporter=notebook
    )

    assert not outcome.finished
    assert outcome.model_digest is None
    checkpoint = notebook.reports[-1].checkpoint
    assert checkpoint is not None
    assert checkpoint.step == outcome.step
    assert store.exists(f"trials/t/checkpoints/step-{outcome.step}/manifest.json")
    assert store.keys("trials/t/model/") == []


def test_a_finished_model_is_scored_again_without_training(
    backbone_folder: Path, store: LocalStore
) -> None:
    config = small_config(backbone_folder)
    trained = run_trial(config, store_uri=store.uri, identity="t", reporter=Notebook())
    wider = small_config(
        backbone_folder,
        evaluation={
            "benchmarks": {
                "validation": {"parts": {"scenes": 10}},
                "words": {"split": "test", "parts": {"text": 8}},
            }
        },
    )

    process = TrialProcess(wider, store_uri=store.uri, identity="t", benchmarks_only=True)
    (outcome,) = process.messages()

    assert isinstance(outcome, TrialOutcome)
    assert outcome.metrics["eval/words/pairs"] == 8
    name = "eval/validation/margin"
    assert outcome.metrics[name] == trained.metrics[name]
    assert len(store.keys("trials/t/scores/words/")) == 1


def test_ranks_end_when_their_parent_is_killed(backbone_folder: Path, store: LocalStore) -> None:
    config = endless(backbone_folder).model_dump_json()
    program = (
        "import sys\n"
        "from trainer.config import TrainerConfig\n"
        "from trainer.gangs.ranks import TrialProcess\n"
        "assert 'torch' not in sys.modules\n"
        f"config = TrainerConfig.model_validate_json({config!r})\n"
        f"process = TrialProcess(config, store_uri={store.uri!r}, identity='t')\n"
        "for message in process.messages():\n"
        "    print(*process.pids, flush=True)\n"
        "    process.answer('continue')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]

    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert pids
    assert wait_for_end(pids, 5)


def test_running_out_of_memory_is_told_from_bugs() -> None:
    words = "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"

    assert to_failure(RuntimeError(words)).error == OutOfMemoryTrial.__name__
    assert to_failure(MemoryError()).error == OutOfMemoryTrial.__name__
    assert to_failure(KeyError("x")).error == "BugTrial"


def test_a_stop_that_comes_before_the_first_step_is_kept_until_then(
    backbone_folder: Path, store: LocalStore
) -> None:
    process = TrialProcess(endless(backbone_folder), store_uri=store.uri, identity="t")
    process.stop()

    *reports, outcome = answered(process)

    assert isinstance(outcome, TrialOutcome)
    assert (outcome.finished, outcome.step) == (False, 1)
    last = reports[-1]
    assert isinstance(last, TrialReport)
    assert last.checkpoint is not None
    assert last.checkpoint.step == 1


def answered(process: TrialProcess) -> Iterator[TrialReport | TrialOutcome]:
    """All a trial says, every report answered with `continue`."""
    for message in process.messages():
        yield message
        if isinstance(message, TrialReport):
            process.answer("continue")
