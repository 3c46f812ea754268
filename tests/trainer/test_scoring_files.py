"""Files are scored in parts: killed runs go on, other questions start anew, memory is bounded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from infra.errors import BusyError, DataError, InputError, MissingError
from infra.object_store import LocalStore
from tests.trainer.trials import small_config
from trainer.members.member_models import GIB
from trainer.members.member_tables import EXTRA_COLUMNS
from trainer.model.backbone import read_backbone
from trainer.model.model_files import load_model, store_model
from trainer.model.reward_model import RewardModel
from trainer.model.weight_averaging import average_weights
from trainer.record import model_prefix
from trainer.score_forms import read_scored
from trainer.scores import SCORE_SCHEMA
from trainer.scoring import EnsembleScorer, ModelScorer, load_reward_model
from trainer.scoring_files import score_file

MEMBERS = ("first", "second", "third")
ROWS = 10


@pytest.fixture(scope="module")
def store(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    """Three models on one backbone, which differ in their heads."""
    store = LocalStore(tmp_path_factory.mktemp("store"))
    digests = {}
    for seed, name in enumerate(MEMBERS):
        config = small_config(backbone_folder, seed=seed)
        digests[name] = store_model(
            RewardModel(read_backbone(backbone_folder), config), store, name
        )
    store.write("digests.json", json.dumps(digests).encode())
    return store


@pytest.fixture
def ensemble(store: LocalStore, tmp_path: Path) -> Path:
    digests = json.loads(store.read("digests.json"))

    def reference(name: str) -> dict[str, str]:
        return {"identity": name, "store": store.uri, "model_digest": digests[name]}

    voices = [["first"], ["second"], ["first", "third"]]
    page = {
        "version": 2,
        "name": "voices",
        "method": "z_average",
        "members": [
            {
                "label": "+".join(names),
                "models": [reference(name) for name in names],
                "weight": 1 / 3,
                "normalization": {"kind": "z_score", "mean": 0.1, "std": 0.5},
            }
            for names in voices
        ],
        "rule": {"kind": "weighted_sum", "weights": [1 / 3] * 3},
        "temperature": 0.7,
    }
    path = tmp_path / "ensemble.json"
    path.write_text(json.dumps(page))
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    rows: list[object] = [
        {"prompt": f"What is {n} plus one?", "responses": [f"{n + 1}.", f"It is {n + 2}."]}
        for n in range(ROWS - 2)
    ]
    rows += [{"prompt": "Say something.", "response": "Something."}, {"prompt": ""}]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_table_has_every_response_once_and_says_how_sure_the_members_are(
    ensemble: Path, prompts: Path, tmp_path: Path
) -> None:
    outcome = score_file(load_reward_model(ensemble), prompts, tmp_path / "s.parquet", chunk_rows=4)

    table = pq.read_table(tmp_path / "s.parquet")
    assert (outcome.rows, outcome.responses) == (ROWS, 2 * (ROWS - 2) + 1)
    assert outcome.unusable == [(ROWS, "no prompt")]
    assert table.column_names == [*SCORE_SCHEMA.names, *EXTRA_COLUMNS]
    assert set(table["order"].to_pylist()) == {0}
    probability = table["probability"].to_pylist()
    assert probability[-1] is None
    assert table["disagreement"].to_pylist()[-1] is None
    assert np.add.reduceat(probability[:-1], range(0, 16, 2)) == pytest.approx(np.ones(8))
    assert all(0 <= value <= 1 for value in table["disagreement"].to_pylist()[:-1])
    assert not list(tmp_path.glob("*.parts")), "parts are removed when the result stands"


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_other_forms_hold_the_same_table(
    ensemble: Path, prompts: Path, tmp_path: Path, ending: str
) -> None:
    scorer = load_reward_model(ensemble)

    score_file(scorer, prompts, tmp_path / "s.parquet")
    score_file(scorer, prompts, tmp_path / f"s{ending}")

    expected = pq.read_table(tmp_path / "s.parquet")
    found = read_scored(tmp_path / f"s{ending}")
    assert found["score"].to_pylist() == pytest.approx(expected["score"].to_pylist())
    assert [str(value) for value in found["item_id"].to_pylist()] == (
        expected["item_id"].to_pylist()
    )


KILLED = """
    import sys
    from pathlib import Path
    from trainer.scoring import load_reward_model
    from trainer.scoring_files import score_file

    def tell(done, total):
        print(done, flush=True)

    score_file(load_reward_model(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]),
               chunk_rows=1, progress=tell)
"""


def _parts(folder: Path) -> Iterator[Path]:
    return folder.glob("member-*.parquet")


def test_a_killed_run_goes_on_and_gives_the_table_of_an_unbroken_one(
    ensemble: Path, prompts: Path, tmp_path: Path
) -> None:
    broken, whole = tmp_path / "broken.parquet", tmp_path / "whole.parquet"
    arguments = [sys.executable, "-c", textwrap.dedent(KILLED), str(ensemble), str(prompts)]
    with subprocess.Popen(
        [*arguments, str(broken)],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        parts = tmp_path / "broken.parquet.parts"
        while process.poll() is None and len(list(_parts(parts))) < 5:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
    left = len(list(_parts(parts)))
    if process.returncode == -signal.SIGKILL:
        assert left >= 5
        assert not broken.exists()

    scorer = load_reward_model(ensemble)
    outcome = score_file(scorer, prompts, broken, chunk_rows=1)
    score_file(scorer, prompts, whole, chunk_rows=1)

    assert outcome.resumed_parts == left
    ours, theirs = pq.read_table(broken), pq.read_table(whole)
    assert ours["score"].to_pylist() == pytest.approx(theirs["score"].to_pylist(), abs=1e-6)
    assert ours.drop_columns(["score", *EXTRA_COLUMNS]).equals(
        theirs.drop_columns(["score", *EXTRA_COLUMNS])
    )


def test_parts_of_another_question_are_not_taken(
    ensemble: Path, prompts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "s.parquet"
    parts = tmp_path / "s.parquet.parts"
    parts.mkdir()
    (parts / "asked.json").write_text("{}")
    (parts / "member-0000-0000000.parquet").write_bytes(b"of another file")

    outcome = score_file(load_reward_model(ensemble), prompts, out)

    assert outcome.resumed_parts == 0
    assert out.is_file()


def test_two_runs_do_not_write_the_same_result(
    ensemble: Path, prompts: Path, tmp_path: Path
) -> None:
    scorer = load_reward_model(ensemble)
    out = tmp_path / "s.parquet"

    def start_another(done: int, total: int) -> None:
        with pytest.raises(BusyError, match="another run is writing"):
            score_file(scorer, prompts, out)

    score_file(scorer, prompts, out, progress=start_another)

    assert out.is_file()


def test_a_run_without_room_for_all_members_loads_them_in_turns_and_scores_alike(
    ensemble: Path, prompts: Path, tmp_path: Path
) -> None:
    one = sum(
        4 * p.numel() for p in load_reward_model(ensemble).rounds().__next__()[0].model.parameters()
    )
    roomy = load_reward_model(ensemble)
    tight = load_reward_model(ensemble, memory_gib=2.2 * one / GIB)
    assert isinstance(tight, EnsembleScorer)

    held = [len(models) for models in tight.rounds()]
    score_file(roomy, prompts, tmp_path / "roomy.parquet")
    score_file(tight, prompts, tmp_path / "tight.parquet")

    assert len(held) > 1
    assert pq.read_table(tmp_path / "tight.parquet").equals(
        pq.read_table(tmp_path / "roomy.parquet")
    )
    with pytest.raises(InputError, match=r"needs .* GiB for its weights"):
        score_file(load_reward_model(ensemble, memory_gib=1e-6), prompts, tmp_path / "no.csv")


def test_members_with_one_backbone_share_it_and_a_model_named_twice_is_loaded_once(
    ensemble: Path,
) -> None:
    page = json.loads(ensemble.read_text())
    page["members"].append(page["members"][0])
    page["rule"]["weights"] = [0.25] * 4
    ensemble.write_text(json.dumps(page))

    models = next(load_reward_model(ensemble).rounds())

    assert models[0].model.backbone is models[1].model.backbone
    assert models[0].model is models[3].model
    assert models[2].model.backbone is not models[0].model.backbone, "an average is its own"


def test_averaged_weights_are_the_mean_and_equal_models_stay_as_they_are(
    store: LocalStore,
) -> None:
    folders = [store.root / model_prefix(name) for name in MEMBERS]

    same = average_weights([folders[0]] * 3).state_dict()
    mean = average_weights(folders).state_dict()

    states = [load_model(folder).state_dict() for folder in folders]
    for name, value in states[0].items():
        assert same[name].equal(value)
        expected = sum(state[name].double() for state in states) / 3
        assert mean[name].double() == pytest.approx(expected, abs=1e-6)


def test_models_of_unlike_heads_are_not_averaged(backbone_folder: Path, store: LocalStore) -> None:
    other = small_config(backbone_folder, head={"layers": 1})
    store_model(RewardModel(read_backbone(backbone_folder), other), store, "other")

    with pytest.raises(InputError, match="differ in head"):
        average_weights([store.root / model_prefix(name) for name in ("first", "other")])


def test_what_cannot_be_scored_is_said(ensemble: Path, tmp_path: Path) -> None:
    scorer = load_reward_model(ensemble)
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"prompt": ""}\n')

    with pytest.raises(MissingError, match="does not exist"):
        score_file(scorer, tmp_path / "none.jsonl", tmp_path / "s.csv")
    with pytest.raises(DataError, match=r"no row of .* can be scored; row 1: no prompt"):
        score_file(scorer, empty, tmp_path / "s.csv")
    with pytest.raises(InputError, match=r"\.parquet, \.jsonl, \.csv"):
        score_file(scorer, empty, tmp_path / "s.xlsx")


def test_the_python_interface_takes_plain_rows_and_names_every_bad_one(
    store: LocalStore,
) -> None:
    rewards = load_reward_model(store.root / model_prefix("first"))
    assert isinstance(rewards, ModelScorer)

    table = rewards.score([{"prompt": "2 + 2?", "responses": ["4", "5"]}])

    assert table["response"].to_pylist() == [0, 1]
    with pytest.raises(DataError, match=r"row 1: no prompt; row 3: image .*none\.png"):
        rewards.score(
            [
                {"responses": ["a"]},
                {"prompt": "fine", "response": "a"},
                {"prompt": "p", "response": "a", "image": "none.png"},
            ]
        )
