"""`python -m trainer CONFIG.yaml --out FOLDER`: train one reward model, alone, without a sweep.

`machine: auto` in the file settles workers, ZeRO stage, micro batch and checkpointing for this
machine. Ctrl-C ends a training with a checkpoint, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

import yaml
from pydantic import ValidationError

from infra.errors import MissingError, Problem, RmsweepError, SpecError
from infra.settings import load_settings
from trainer.catalog import backbone_digest
from trainer.config import TrainerConfig
from trainer.data.mixture import data_digests
from trainer.devices import AUTO, devices_here, layout_text, settled_on
from trainer.gangs.foreground import train_here
from trainer.identity import training_identity
from trainer.reporting import Answer, TrialReport


class ConsoleReporter:
    """Prints what a trial says."""

    def report(self, report: TrialReport) -> Answer:
        """One line per report."""
        values = "  ".join(f"{name} {value:.4g}" for name, value in report.metrics.items())
        sys.stdout.write(f"step {report.step} ({report.fraction:.0%})  {values}\n")
        if report.note:
            _say(report.note)
        sys.stdout.flush()
        return "continue"


def read_config(path: Path) -> TrainerConfig:
    """A trainer config from a YAML file; `machine: auto` is settled for this machine.

    Raises:
        InputError: If nothing fits this machine.
        MissingError: If there is no such file.
        SpecError: Naming everything wrong in it.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except OSError as error:
        raise MissingError(f"expected a trainer config at {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(str(path), [Problem(path="", message=f"not YAML: {error}")]) from error
    settles = isinstance(values, dict) and values.get("machine") == AUTO
    if settles:
        values = {name: value for name, value in values.items() if name != "machine"}
    try:
        config = TrainerConfig.model_validate(values or {})
    except ValidationError as error:
        raise SpecError(
            str(path),
            [
                Problem(
                    path=".".join(map(str, each["loc"])), message=_told(each["msg"], each["loc"])
                )
                for each in error.errors()
            ],
        ) from None
    if settles:
        config = settled_on(devices_here(), config)
        sys.stdout.write(f"machine: {layout_text(config)}\n")
    return config


def train(config: TrainerConfig, folder: Path, *, anew: bool = False) -> int:
    """Train into a folder laid out as a trial's part of an object store; returns an exit code."""
    identity = training_identity(
        config,
        data_digests=data_digests(config.data),
        backbone_digest=backbone_digest(config.backbone, models=load_settings().models) or "",
    )
    outcome = train_here(
        config, folder=folder, identity=identity, reporter=ConsoleReporter(), say=_say, anew=anew
    )
    if not outcome.finished:
        _say(f"stopped after step {outcome.step}; the same command goes on from there")
        return 130
    for name, value in sorted(outcome.metrics.items()):
        sys.stdout.write(f"{name:<40} {value:.4g}\n")
    sys.stdout.write(f"model: {folder.absolute() / 'trials' / identity / 'model'}\n")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainer", description=__doc__)
    parser.add_argument("config", type=Path, help="trainer config, YAML")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything it leaves")
    parser.add_argument(
        "--anew", action="store_true", help="train from the beginning, whatever an earlier run left"
    )
    given = parser.parse_args(arguments)
    try:
        return train(read_config(given.config), given.out, anew=given.anew)
    except RmsweepError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 130


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _told(message: str, location: tuple[int | str, ...]) -> str:
    known = [name for name in TrainerConfig.model_fields if len(location) == 1]
    near = difflib.get_close_matches(str(location[-1]), known, n=1) if location else []
    hint = f"; did you mean {near[0]}?" if near and near[0] != location[-1] else ""
    return message.removeprefix("Value error, ") + hint


if __name__ == "__main__":
    sys.exit(main())
