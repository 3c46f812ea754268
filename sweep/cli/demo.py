"""What `make demo` does: the demo sweep, its report, its ensemble, and where to look.

Each step is a command a user could type, printed before it runs. A second call reuses what is done.
"""

from __future__ import annotations

import shlex
import sys
import time

from sweep.cli.console import duration_text, out
from sweep.cli.main import run
from sweep.cli.workplace import open_workplace

RECIPE = "search_spaces/recipes/demo.yaml"
NAME = "demo"


def main() -> int:
    """Run the demo; the exit code of the first step that fails, else 0."""
    home = open_workplace().settings.home
    report = home / "demo-report.html"
    ensemble = home / "demo-ensemble.json"
    steps = (
        ["run", RECIPE],
        ["report", NAME, "--out", str(report)],
        ["ensemble", NAME, "--out", str(ensemble)],
    )
    started = time.monotonic()
    for step in steps:
        out.print(f"\n[bold]$ rmsweep {shlex.join(step)}[/bold]", soft_wrap=True)
        code = run(step)
        if code:
            return code
    prefix = f"RMSWEEP_HOME={shlex.quote(str(home))} .venv/bin/rmsweep"
    out.print(f"\n[bold]Done in {duration_text(time.monotonic() - started)}.[/bold]")
    out.print(f"report     {report}", soft_wrap=True)
    out.print(f"ensemble   {ensemble}", soft_wrap=True)
    out.print(f"in MLflow  {prefix} ui {NAME}", soft_wrap=True)
    out.print(f"trials     {prefix} show {NAME}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
