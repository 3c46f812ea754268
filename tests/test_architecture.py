"""The shape of the house: layers, owners of vendors, light start-up, files of one idea."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("sweep", "search_spaces", "trainer", "analysis", "infra")
LONGEST_FILE = 300


def test_imports_go_down_only_and_every_vendor_has_one_owner() -> None:
    linter = Path(sys.executable).with_name("lint-imports")

    result = subprocess.run(
        [str(linter), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    "module",
    [
        "sweep.cli.main",
        "sweep.spec.load",
        "sweep.engine.planning.plan",
        "sweep.records.ledger",
        "analysis",
    ],
)
def test_what_answers_at_once_imports_nothing_heavy(module: str) -> None:
    program = (
        f"import sys, {module}; "
        "print([name for name in ('torch', 'ray', 'deepspeed', 'transformers', 'mlflow', "
        "'matplotlib', 'sklearn') if name in sys.modules])"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize("folder", FOLDERS)
def test_our_packages_are_the_ones_imported(folder: str) -> None:
    # Other distributions install top-level packages named `trainer` and `analysis`.
    module = __import__(folder)

    assert module.__file__ is not None
    assert Path(module.__file__).is_relative_to(ROOT)


def test_no_file_holds_more_than_one_idea() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for folder in (*FOLDERS, "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    ]

    assert long == []


def test_the_top_level_holds_the_product_and_nothing_else() -> None:
    # A stray note was published from here once.
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")

    top = {line.partition("/")[0] for line in listed.stdout.splitlines()}

    documents = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"}
    build = {".ci", ".gitignore", "Makefile", "pyproject.toml", "requirements"}
    assert top == {*FOLDERS, "tests", "docs", *documents, *build}
