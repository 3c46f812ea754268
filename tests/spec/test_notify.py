"""What a sweep file may say about being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import SpecError
from sweep.spec.load import load_sweep


def _file(folder: Path, notify: str) -> Path:
    path = folder / "s.yaml"
    path.write_text(f"name: s\nbaseline: basereward-tiny\nnotify: {notify}\n")
    return path


def test_a_file_says_what_is_told_and_when_a_limit_is_near(tmp_path: Path) -> None:
    spec = load_sweep(_file(tmp_path, "{about: [finish, budget], budget_at: 0.5}"))

    assert (spec.notify.about, spec.notify.budget_at) == (["finish", "budget"], 0.5)


@pytest.mark.parametrize(
    "notify", ["{about: [finsh]}", "{budget_at: 80}", "{webhook: https://hooks.example/T0}"]
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, notify: str) -> None:
    with pytest.raises(SpecError, match="notify"):
        load_sweep(_file(tmp_path, notify))
