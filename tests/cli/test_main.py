"""The command as a whole: its help, its version, and the verbs the README promises."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

from sweep.cli.main import app
from tests.cli.conftest import Command

README = Path(__file__).resolve().parents[2] / "README.md"


def test_every_verb_is_shown_under_what_it_is_for() -> None:
    panels = {each.rich_help_panel for each in app.registered_commands}
    panels |= {each.rich_help_panel for each in app.registered_groups}

    assert panels == {"Plan", "Train", "Watch", "Decide", "Change", "Clusters"}


def test_the_readme_lists_every_verb() -> None:
    table = " ".join(
        re.findall(r"^\| (`.*?`) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    )
    verbs = [each.callback.__name__ for each in app.registered_commands if each.callback]
    groups = [str(each.name) for each in app.registered_groups]

    missing = [verb for verb in (*verbs, *groups) if not re.search(rf"`{verb}\b", table)]
    assert missing == []


def test_the_version_is_the_distribution_s(rmsweep: Command) -> None:
    answer = rmsweep("--version")

    assert answer.code == 0
    assert answer.out.strip() == f"rmsweep {version('rmsweep')}"
