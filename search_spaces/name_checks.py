"""Whether what a config names exists: data sources, and heads and losses that packages bring.

Nothing is loaded: neither data nor the code of a head.
"""

from __future__ import annotations

import functools
import json

from infra.errors import DataError, InputError
from infra.findings import Finding, InvalidSettings, Location, hint
from trainer.config import SourceConfig, TrainerConfig
from trainer.data.sources import known_kinds, source_settings
from trainer.extensions import Group, check_installed
from trainer.head_config import BUILT_IN_HEAD
from trainer.strategy_config import BUILT_IN_PAIR_LOSS


def name_findings(config: TrainerConfig) -> list[Finding]:
    """Problems of every source that is trained on or measured with, located in the config.

    Also of a head or a loss that no installed package brings.
    """
    findings = _part_findings(config)
    known = (*config.data.sources, *_kinds())
    for location, name in _drawn(config):
        if name not in known:
            findings.append(Finding(location, f"unknown data source '{name}'{hint(name, known)}"))
            continue
        source = config.data.source(name)
        written = ("data", "sources", name) if name in config.data.sources else location
        for inner, message in _problems(source.kind, json.dumps(source.settings, sort_keys=True)):
            place = (*written, *inner) if written != location else location
            findings.append(Finding(place, f"data source '{name}': {message}"))
    return list(dict.fromkeys(findings))


def _part_findings(config: TrainerConfig) -> list[Finding]:
    asked: tuple[tuple[Location, Group, str, str], ...] = (
        (("head", "kind"), "rmsweep.heads", config.head.kind, BUILT_IN_HEAD),
        (
            ("strategy", "pair_loss"),
            "rmsweep.losses",
            config.strategy.pair_loss,
            BUILT_IN_PAIR_LOSS,
        ),
    )
    findings = []
    for location, group, name, built_in in asked:
        if name != built_in:
            try:
                check_installed(group, name, built_in)
            except InputError as error:
                findings.append(Finding(location, str(error)))
    return findings


def _drawn(config: TrainerConfig) -> list[tuple[Location, str]]:
    trained: list[tuple[Location, str]] = [
        (("data", "weights", name), name) for name in config.data.weights
    ]
    data = config.data
    for field, names in (
        (("leave_out",), data.leave_out),
        (("add_in",), data.add_in),
        (("caps",), tuple(data.caps)),
        (("decontaminate", "against"), data.decontaminate.against),
    ):
        trained += [
            (("data", *field, name if field == ("caps",) else place), name)
            for place, name in enumerate(names)
        ]
    measured: list[tuple[Location, str]] = [
        (("evaluation", "benchmarks", benchmark, "parts", name), name)
        for benchmark, settings in config.evaluation.benchmarks.items()
        for name in settings.parts
    ]
    return trained + measured


@functools.cache
def _kinds() -> tuple[str, ...]:
    return known_kinds()


@functools.lru_cache(maxsize=1024)
def _problems(kind: str, settings: str) -> tuple[tuple[Location, str], ...]:
    """Problems of one source's settings; asked for once per level of every axis, so remembered."""
    try:
        source_settings(SourceConfig(kind=kind, settings=json.loads(settings)))
    except InvalidSettings as error:
        return tuple((("settings", *each.location), each.message) for each in error.findings)
    except DataError as error:
        return ((("kind",), str(error)),)
    return ()
