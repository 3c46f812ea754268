"""`rmsweep`: the app, its exit codes, and how an error reaches the user.

Exit 0 done, 1 the sweep or a service failed, 2 the input is wrong, 130 Ctrl-C. A deliberate error
prints its text and no traceback; a traceback is always a bug of ours.
"""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Sequence
from importlib.metadata import version
from types import ModuleType
from typing import Annotated

import typer
from typer.exceptions import TyperException

from infra.errors import RmsweepError
from sweep.cli import (
    amend_verbs,
    cluster_verbs,
    data_verbs,
    decide_verbs,
    deploy_verb,
    ensemble_verb,
    keep_verbs,
    log_verbs,
    look_verbs,
    plan_verbs,
    replay_verb,
    run_verbs,
    score_verb,
    top_verb,
    train_verbs,
    ui_verb,
)
from sweep.cli.console import print_error

app = typer.Typer(
    name="rmsweep",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_PANELS: dict[str, tuple[ModuleType, ...]] = {
    "Plan": (plan_verbs, replay_verb, data_verbs),
    "Train": (run_verbs, train_verbs),
    "Watch": (look_verbs, log_verbs, top_verb, ui_verb),
    "Decide": (decide_verbs, ensemble_verb, score_verb),
    "Change": (amend_verbs, keep_verbs),
    "Clusters": (cluster_verbs, deploy_verb),
}
"""The verbs of each module, as `--help` groups them."""


for _panel, _modules in _PANELS.items():
    _commands, _groups = len(app.registered_commands), len(app.registered_groups)
    for _verbs in _modules:
        _verbs.add_to(app)
    for _command in app.registered_commands[_commands:]:
        _command.rich_help_panel = _panel
    for _group in app.registered_groups[_groups:]:
        _group.rich_help_panel = _panel


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"rmsweep {version('rmsweep')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Sweeps over multimodal reward models: one file in, a tested decision out."""


INTERRUPTED = 130
_REFUSED_BY_MACHINE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
}
"""Of the operating system's errors those that a path or a disk has, never a mistake of ours."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; never raises for what a user did."""
    try:
        result = app(args=arguments, standalone_mode=False)
    except RmsweepError as error:
        print_error(str(error))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        print_error("interrupted")
        return INTERRUPTED
    except TyperException as error:
        # A wrong command line; typer exports only the root of its own errors.
        error.show()  # type: ignore[attr-defined]
        return int(getattr(error, "exit_code", 2))
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno not in _REFUSED_BY_MACHINE:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        print_error(f"{where}{error.strerror}; expected a place that can be written to, with space")
        return 1
    return result if isinstance(result, int) else 0


def main() -> None:
    """Entry point of the `rmsweep` script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that knows ASCII alone gets a ? for what it cannot show.
            stream.reconfigure(errors="replace")
    sys.exit(run())


if __name__ == "__main__":
    main()
