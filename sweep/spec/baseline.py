"""The settled baseline of a sweep: what it names, with its `set` applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infra.errors import InputError, SpecError
from infra.findings import Finding, InvalidSettings
from search_spaces.patches import apply_patch
from sweep.spec.compose import read_composed
from sweep.spec.files import find_file
from sweep.spec.load import is_sweep, sweep_of
from sweep.spec.overrides import parse_override
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig


def baseline_config(spec: SweepSpec, folder: Path | None = None) -> TrainerConfig:
    """The trainer config every axis of the sweep starts from.

    Args:
        spec: The sweep.
        folder: Where a baseline given as a file is looked for first; the sweep file's own folder.

    Raises:
        InvalidSettings: With every problem of `baseline` and `set`.
    """
    return _settled(spec, folder, ())


def load_trainer_config(name: str | Path, overrides: Sequence[str] = ()) -> TrainerConfig:
    """A trainer config by path or recipe name; of a sweep file, its settled baseline.

    Args:
        name: Path of a trainer config or sweep file, or name of a shipped recipe.
        overrides: `path=value` with paths of the trainer config, such as `head.layers=3`.

    Raises:
        SpecError: With every problem, by line.
        MissingError: If there is no such file or recipe.
    """
    config = _config_in(find_file(name), ())
    return _overridden(config, overrides) if overrides else config


def _overridden(config: TrainerConfig, overrides: Sequence[str]) -> TrainerConfig:
    """All at once: two that only fit together are not judged one by one."""
    patch: dict[str, Any] = {}
    findings: list[Finding] = []
    for override in overrides:
        try:
            path, value = parse_override(override)
        except SpecError as error:
            findings += [Finding((override,), each.message) for each in error.problems]
            continue
        patch.pop(path, None)  # the last word on a setting comes last
        patch[path] = value
    changed = config
    try:
        changed = apply_patch(config, patch)
    except InvalidSettings as error:
        findings += error.findings
    if findings:
        raise InvalidSettings(findings, "--set")
    return changed


def _settled(spec: SweepSpec, folder: Path | None, seen: tuple[Path, ...]) -> TrainerConfig:
    findings: list[Finding] = []
    try:
        config = _named(spec, folder, seen)
    except InvalidSettings as error:
        findings += error.findings
        config = TrainerConfig()
    try:
        settled = apply_patch(config, spec.set)
    except InvalidSettings as error:
        # Against a baseline that could not be read, only single settings can be judged.
        judged = [each for each in error.findings if each.location or not findings]
        raise InvalidSettings([*findings, *(each.under("set") for each in judged)]) from error
    if findings:
        raise InvalidSettings(findings)
    return settled


def _named(spec: SweepSpec, folder: Path | None, seen: tuple[Path, ...]) -> TrainerConfig:
    try:
        if not isinstance(spec.baseline, str):
            return apply_patch(TrainerConfig(), spec.baseline)
        return _config_in(find_file(spec.baseline, folder), seen)
    except InvalidSettings as error:
        raise InvalidSettings([each.under("baseline") for each in error.findings]) from error
    except SpecError as error:
        nested = [
            Finding(("baseline",), f"in {error.source}: {problem}") for problem in error.problems
        ]
        raise InvalidSettings(nested) from error
    except InputError as error:
        raise InvalidSettings([Finding(("baseline",), str(error))]) from error


def _config_in(path: Path, seen: tuple[Path, ...]) -> TrainerConfig:
    """The trainer config of a file, or the settled baseline of a sweep file."""
    path = path.resolve()
    if path in seen:
        chain = " -> ".join(each.name for each in (*seen, path))
        raise InvalidSettings([Finding((), f"baselines name each other in a circle: {chain}")])
    document = read_composed(path)
    try:
        if is_sweep(document):
            return _settled(sweep_of(document).spec, path.parent, (*seen, path))
        return apply_patch(TrainerConfig(), document.data)
    except InvalidSettings as error:
        raise document.source.error(list(error.findings)) from error
