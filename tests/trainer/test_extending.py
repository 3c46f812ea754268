"""Parts of a user's own, from a package that is built and installed as `docs/extending.md` says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.errors import InputError, SpecError
from infra.object_store import LocalStore
from search_spaces.name_checks import name_findings
from trainer.catalog import SHIPPED
from trainer.config import TrainerConfig
from trainer.extensions import check_installed
from trainer.identity import active_settings
from trainer.training.pair_loss import pair_loss_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/extending.md").read_text()


def block(kind: str, number: int = 0) -> str:
    """A code block of the page."""
    blocks: list[str] = re.findall(rf"```{kind}\n(.*?)```", PAGE, flags=re.DOTALL)
    return blocks[number]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages that holds the page's."""
    folder = tmp_path_factory.mktemp("package")
    package = folder / "my_rewards"
    package.mkdir()
    (folder / "pyproject.toml").write_text(block("toml"))
    (package / "__init__.py").write_text(block("python"))
    (package / "head.py").write_text(block("python", 1))
    shutil.copytree(SHIPPED / "tiny-qwen2.5-vl/xs", package / "weights")
    site = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(folder)], check=True)
    return site


def votes(path: Path, count: int, *, seed: int) -> None:
    rows = [
        {
            "question": f"How many circles are there in drawing {seed + number}?",
            "answers": ["There are three circles.", f"I can see {number} of them."],
            "votes": [3, 2 if number % 2 else 0],
        }
        for number in range(count)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_training_with_a_head_loss_adapter_backbone_and_benchmark_of_one_s_own(
    site: Path, tmp_path: Path
) -> None:
    votes(tmp_path / "votes.jsonl", 60, seed=0)
    votes(tmp_path / "held_out.jsonl", 10, seed=1000)
    (tmp_path / "config.yaml").write_text(block("yaml"))
    python_path = os.pathsep.join([str(site), str(ROOT)])

    ran = subprocess.run(
        [sys.executable, "-m", "trainer", "config.yaml", "--out", "out"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "eval/votes/clear" in ran.stdout
    store = LocalStore(tmp_path / "out")
    (record,) = [key for key in store.keys("trials/") if key.endswith("record.json")]
    config = json.loads(store.read(record))["config"]
    assert config["head"]["kind"] == "gated"
    (head,) = [key for key in store.keys("trials/") if key.endswith("reward_head.safetensors")]
    assert b"gate.weight" in store.read(head)


def test_the_release_of_a_head_or_loss_is_in_the_identity(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer import extensions

    monkeypatch.syspath_prepend(site)
    extensions.installed.cache_clear()
    try:
        config = TrainerConfig.model_validate(
            {"head": {"kind": "gated"}, "strategy": {"pair_loss": "hinge"}}
        )
        settings = active_settings(config)
        assert settings["head"]["release"] == "my-rewards 1.0"
        assert settings["strategy"]["pair_loss_release"] == "my-rewards 1.0"
        assert name_findings(config) == []
        assert pair_loss_of(config) is not None
        with pytest.raises(InputError, match=r"no installed package brings 'gatd'.*'gated'"):
            check_installed("rmsweep.heads", "gatd")
    finally:
        extensions.installed.cache_clear()


def test_names_nobody_brings_are_found_in_a_check_and_defaults_name_no_new_identity() -> None:
    config = TrainerConfig.model_validate(
        {"head": {"kind": "layrs"}, "strategy": {"pair_loss": "hinge"}}
    )

    found = {finding.location: finding.message for finding in name_findings(config)}

    assert "did you mean 'layers'" in found["head", "kind"]
    assert "rmsweep.losses" in found["strategy", "pair_loss"]
    plain = active_settings(TrainerConfig())
    assert not {"kind", "settings"} & set(plain["head"])
    assert not [name for name in plain["strategy"] if name.startswith("pair_loss")]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"head": {"settings": {"width": 3}}}, "settings are those of a head of your own"),
        ({"strategy": {"pair_loss_settings": {"gap": 3}}}, "those of a loss of your own"),
        ({"strategy": {"pair_loss": "hinge", "loss": "plackett_luce"}}, "a loss of pairs"),
    ],
)
def test_settings_without_a_reader_are_refused(section: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, SpecError), match=message):
        TrainerConfig.model_validate(section)
