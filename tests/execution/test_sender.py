"""What a sweep was sent from beside what is on the cluster: named, and refused where it must be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sweep.execution.sender import PACKAGES, Sender, sources_digest

ROOT = Path(__file__).resolve().parents[2]


def test_other_versions_of_python_or_ray_are_obstacles_and_of_torch_only_noted() -> None:
    here = Sender(python="3.11.7", packages={"ray": "2.60.0", "torch": "2.13.0"})
    same = Sender(python="3.11.9", packages={"ray": "2.60.0", "torch": "2.12.0"})
    other = Sender(python="3.12.1", packages={"ray": "2.59.0", "deepspeed": "0.19.8"})

    assert same.obstacles(here) == []
    assert same.differences(here) == [
        "torch is 2.12.0 on the submitting machine and 2.13.0 on the cluster"
    ]
    assert other.obstacles(here) == [
        "Python is 3.12.1 on the submitting machine and 3.11.7 on the cluster",
        "Ray is 2.59.0 on the submitting machine and 2.60.0 on the cluster",
        "deepspeed 0.19.8 is missing on the cluster",
    ]


def test_this_machine_has_no_obstacle_for_itself() -> None:
    here = Sender.here()

    assert here.obstacles(here) == here.differences(here) == []
    assert os.environ.get("RAY_AUTH_TOKEN", "no token") not in here.model_dump_json()


def test_another_rmsweep_on_the_cluster_is_named_by_release_commit_and_change() -> None:
    mine = Sender(
        python="3.11.7",
        packages={"rmsweep": "0.1.0"},
        code=f"{'a' * 40}+{'3' * 64}",
        sources_sha256="1" * 64,
    )
    released = Sender(python="3.11.7", packages={"rmsweep": "0.0.9"}, sources_sha256="2" * 64)
    bare = Sender(python="3.11.7", packages={})

    assert mine.obstacles(released) == mine.obstacles(bare) == []
    assert mine.differences(released) == [
        f"rmsweep is 0.1.0 at commit {'a' * 12}, changed on the submitting machine and "
        f"0.0.9 with sources {'2' * 12} on the cluster; the submitting machine's sources have "
        "travelled and are what runs"
    ]
    assert mine.differences(bare) == []


def test_other_code_of_the_same_release_is_a_difference() -> None:
    mine = Sender(python="3.11.7", packages={"rmsweep": "0.1.0"}, sources_sha256="1" * 64)

    assert mine.differences(mine) == []
    (told,) = mine.differences(mine.model_copy(update={"sources_sha256": "2" * 64}))
    assert "0.1.0 with sources 111111111111 on the submitting machine" in told
    assert "0.1.0 with sources 222222222222 on the cluster" in told


def test_the_digest_of_sources_knows_code_and_names_and_nothing_else(tmp_path: Path) -> None:
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    first = sources_digest(tmp_path)
    (tmp_path / "notes.txt").write_text("no code")
    assert sources_digest(tmp_path) == first

    (tmp_path / "sweep" / "new.py").write_text("")
    named = sources_digest(tmp_path)
    (tmp_path / "sweep" / "new.py").write_text("x = 1")

    assert len({first, named, sources_digest(tmp_path)}) == 3


def test_the_installed_rmsweep_is_looked_at_though_another_travelled_here(tmp_path: Path) -> None:
    # As on a cluster: what travelled comes first on the path, what is installed lies elsewhere.
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("backbones", "*.pyc")
        )
    (tmp_path / "sweep" / "added.py").write_text("")
    code = (
        "from sweep.execution.sender import Sender; "
        "print(Sender.here().sources_sha256, Sender.environment().sources_sha256)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd="/",
        check=True,
        capture_output=True,
        text=True,
    )
    travelled, installed = done.stdout.split()

    assert travelled == sources_digest(tmp_path)
    assert installed == Sender.environment().sources_sha256 != travelled
