"""Where results come from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.provenance import take_provenance


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "code.py").write_text("one = 1\n")
    git(folder, "add", "code.py")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    taken = take_provenance(checkout=checkout)

    assert taken.commit == git(checkout, "rev-parse", "HEAD")
    assert taken.dirty_sha256 is None


def test_every_difference_from_the_commit_gives_another_digest(checkout: Path) -> None:
    (checkout / "code.py").write_text("one = 2\n")
    changed = take_provenance(checkout=checkout)
    (checkout / "new.py").write_text("two = 2\n")
    with_new = take_provenance(checkout=checkout)
    (checkout / "new.py").write_text("two = 3\n")
    with_other = take_provenance(checkout=checkout)
    git(checkout, "add", "new.py")
    staged = take_provenance(checkout=checkout)

    digests = [each.dirty_sha256 for each in (changed, with_new, with_other, staged)]
    assert None not in digests
    assert len(set(digests)) == 4
    assert take_provenance(checkout=checkout).dirty_sha256 == staged.dirty_sha256


def test_without_a_repository_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert take_provenance(checkout=tmp_path).commit is None

    monkeypatch.setenv("PATH", str(tmp_path))  # no git either
    taken = take_provenance(checkout=tmp_path)

    assert (taken.commit, taken.dirty_sha256) == (None, None)
    assert taken.python


def test_sources_that_were_sent_elsewhere_are_of_the_commit_they_were_sent_from(
    checkout: Path, tmp_path: Path
) -> None:
    root = Path(__file__).resolve().parents[2]
    shutil.copytree(root / "infra", tmp_path / "arrived" / "infra")
    (checkout / "code.py").write_text("one = 2\n")
    sent_from = take_provenance(checkout=checkout)
    code = "from infra.provenance import take_provenance; print(take_provenance().code)"

    def arrived(**told: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path / "arrived",
            env=dict(os.environ) | told,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    assert sent_from.code == f"{sent_from.commit}+{sent_from.dirty_sha256}"
    assert arrived(RMSWEEP_COMMIT=sent_from.code) == sent_from.code
    assert arrived(RMSWEEP_COMMIT=str(sent_from.commit)) == sent_from.commit
    assert arrived(RMSWEEP_COMMIT="") == ""


def test_code_installed_inside_somebody_elses_repository_has_no_commit(checkout: Path) -> None:
    (checkout / ".gitignore").write_text(".venv\n")
    installed = checkout / ".venv" / "site-packages" / "infra"
    installed.mkdir(parents=True)
    (installed / "provenance.py").touch()

    assert take_provenance(checkout=installed).commit is None


def test_versions_are_taken_and_secrets_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "RMSWEEP_LEDGER_URL", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "postgresql://me:hush-hush@server/x")
    monkeypatch.setattr("sys.argv", ["rmsweep", "--token", "hush-hush"])

    taken = take_provenance()

    assert {"pydantic", "sqlalchemy", "numpy"} <= set(taken.packages)
    assert "hush" not in repr(taken) + taken.model_dump_json()
