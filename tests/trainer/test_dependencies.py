"""The trainer runs where only torch, transformers, deepspeed, pydantic, pyarrow and Pillow are."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
