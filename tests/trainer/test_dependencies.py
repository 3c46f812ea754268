"""The trainer runs where only torch, transformers, deepspeed, pydantic, pyarrow and Pillow are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

from tests.trainer.trials import small_config

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("torch", "transformers", "deepspeed", "pydantic", "pyarrow", "pillow")

ELSEWHERE = (
    "ray", "mlflow", "peft", "boto3", "botocore", "optuna", "sqlalchemy", "matplotlib", "plotly",
    "statsmodels", "trl", "accelerate", "torchvision", "datasets",
)  # fmt: skip

PROGRAM = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def find(name, path=None, target=None):
    return None if name.partition(".")[0] in {blocked!r} else found(name, path, target)
PathFinder.find_spec = staticmethod(find)
import {module}
"""


@pytest.mark.parametrize("module", ["trainer.gangs.warm", "trainer.__main__"])
def test_the_trainer_imports_without_what_only_sweeps_need(module: str) -> None:
    program = PROGRAM.format(blocked=set(ELSEWHERE), module=module)

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr


def test_digits_without_scikit_learn_say_what_to_install() -> None:
    program = PROGRAM.format(blocked={"sklearn"}, module="trainer.data.digits")
    program += "trainer.data.digits.handwritten_digits()\n"

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert "install scikit-learn, or train without the source `digits`" in ran.stderr


BLOCKING_SITE = """
from importlib.machinery import PathFinder
found = PathFinder.find_spec
def find(name, path=None, target=None):
    return None if name.partition(".")[0] in {absent!r} else found(name, path, target)
PathFinder.find_spec = staticmethod(find)
"""

TRAIN_AND_SCORE = """
from pathlib import Path
from infra.object_store import LocalStore
from trainer.__main__ import main, read_config
from trainer.gangs.ranks import TrialProcess
from trainer.data.mixture import benchmark_items
from trainer.scoring import load_reward_model

if __name__ == "__main__":
    assert main(["config.yaml", "--out", "out"]) == 0
    store, config = LocalStore(Path("out")), read_config(Path("config.yaml"))
    identity = next(key for key in store.keys("trials/") if "/model/" in key).split("/")[1]
    again = TrialProcess(config, store_uri=store.uri, identity=identity, benchmarks_only=True)
    (outcome,) = again.messages()
    assert outcome.metrics["eval/validation/pairs"] == 10
    items = benchmark_items(config.data, config.evaluation.benchmarks["validation"])
    print("scored", load_reward_model(identity, store).score(items).num_rows)
"""


def installed_beside_what_is_needed() -> set[str]:
    """Top-level modules of every distribution here that none of `NEEDED` asks for."""
    wanted, needed = list(NEEDED), set()
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name not in needed:
            needed.add(name)
            try:
                asked = requires(name) or []
            except PackageNotFoundError:
                continue  # for another platform
            wanted += [re.split(r"[^\w.-]", each)[0] for each in asked if "extra ==" not in each]
    return {
        module
        for module, owners in packages_distributions().items()
        if not any(re.sub(r"[-_.]+", "-", owner).lower() in needed for owner in owners)
    } - {"infra", "trainer"}


def test_it_trains_evaluates_and_scores_where_nothing_else_is_installed(
    backbone_folder: Path, tmp_path: Path
) -> None:
    absent = installed_beside_what_is_needed()
    assert {"ray", "mlflow", "sqlalchemy", "pandas", "boto3", "peft"} <= absent
    assert not {"torch", "numpy", "yaml", "deepspeed"} & absent
    (tmp_path / "sitecustomize.py").write_text(BLOCKING_SITE.format(absent=absent))
    (tmp_path / "config.yaml").write_text(small_config(backbone_folder).model_dump_json())
    (tmp_path / "use.py").write_text(TRAIN_AND_SCORE)

    ran = subprocess.run(
        [sys.executable, "use.py"],
        cwd=tmp_path,
        # Found first by every process that is started from here on, the ranks included.
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr[-4000:]
    assert "scored" in ran.stdout
