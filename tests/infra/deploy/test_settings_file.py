"""The settings file of a deployment, and what is wrong in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.deploy.reading import EXAMPLE, load_deployment
from infra.deploy.rendering import render, write
from infra.errors import InputError, MissingError, SpecError, StoreError
from sweep.cli.main import run
from tests.infra.deploy.layouts import made

WRONG = """\
name: Reward Models
teems: [vision]
places:
  ledger: sqlite:////home/me/ledger.db
workers:
  - {name: gpu, cpus: 0, memory_gib: 64, most: 2}
compose:
  bind: 127.0.0.1; rm -rf /
"""


def test_every_problem_is_named_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text(WRONG)

    with pytest.raises(SpecError) as caught:
        load_deployment(path)

    said = {(problem.line, problem.path) for problem in caught.value.problems}
    assert said == {
        (1, "name"),
        (2, "teems"),
        (3, "places"),
        (6, "workers[0].cpus"),
        (8, "compose.bind"),
    }
    assert "did you mean 'teams'?" in str(caught.value)
    assert "outlives the cluster's head" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"places": {"ledger": "postgresql://me:hush@db/ledger"}}, "holds a password"),
        ({"places": {"tracking": "https://me:hush@mlflow"}}, "holds a password"),
        ({"places": {"tracking": "sqlite:////mlflow.db"}}, "expected here or https://SERVER"),
        ({"teams": ["one", "one"]}, "one is twice"),
        ({"teams": []}, "at least one"),
        ({"workers": [{"name": "a", "cpus": 1, "memory_gib": 1, "least": 3, "most": 2}]}, "above"),
        ({"images": {"rmsweep": "rmsweep"}}, "text matching"),
        ({"slurm": {"home": "/shared/$(id)"}}, "text matching"),
        ({"slurm": {"partition": "gpu\n#SBATCH --uid=0"}}, "text matching"),
        ({"places": {"s3_endpoint": "https://s3'; id; '"}}, "text matching"),
        ({"kubernetes": {"outside": ["everywhere"]}}, "text matching"),
    ],
)
def test_what_would_not_work_or_not_be_safe_is_refused(
    settings: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        made(**settings)

    assert said in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_missing_file_names_the_example(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"example\.yaml"):
        load_deployment(tmp_path / "none.yaml")


def test_the_command_writes_every_file_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["deploy", str(EXAMPLE), "--out", str(tmp_path / "out")])

    there = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*")}
    assert code == 0
    assert set(render(load_deployment(EXAMPLE))) <= there
    assert "job.yaml" in capsys.readouterr().out


def test_a_wrong_file_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deploy.yaml"
    path.write_text(WRONG)

    assert run(["deploy", str(path), "--out", str(tmp_path / "out")]) == 2

    assert "line 6, workers[0].cpus" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    with pytest.raises(StoreError, match="cannot write to"):
        write({"a/b": "text"}, tmp_path / "out")


def test_the_same_settings_give_the_same_text() -> None:
    assert render(made()) == render(made())
