"""Benchmarks as they are written on the command line.

Three forms: the name of a benchmark the trial's config has, `NAME:SPLIT:SOURCE=PAIRS,...` over the
config's sources, or `NAME=FILE` for all usable rows of a file of pairs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from infra.errors import InputError, MissingError
from trainer.config import BenchmarkConfig, SourceConfig, TrainerConfig

if TYPE_CHECKING:
    from sweep.records.rows import TrialView


def config_of(view: TrialView) -> TrainerConfig:
    """The trainer config of a trial in the ledger."""
    return TrainerConfig.model_validate(view.config_json)


def benchmark_of(text: str, config: TrainerConfig) -> tuple[str, BenchmarkConfig, TrainerConfig]:
    """A benchmark's name, what it holds, and the config that knows its sources.

    Raises:
        InputError: If the text is none of the three forms.
        MissingError: If its file is not there.
    """
    known = config.evaluation.benchmarks
    if text in known:
        return text, known[text], config
    name, separator, rest = text.partition("=")
    if separator and ":" not in name:
        return _of_file(name, Path(rest), config)
    parts = text.split(":")
    if len(parts) != 3:
        raise InputError(
            f"expected one of {', '.join(sorted(known))}, NAME:SPLIT:SOURCE=PAIRS,... or "
            f"NAME=FILE, got {text!r}"
        )
    wanted = {"split": parts[1], "parts": dict(_counted(part) for part in parts[2].split(","))}
    try:
        return parts[0], BenchmarkConfig.model_validate(wanted), config
    except ValidationError as error:
        said = "; ".join(each["msg"] for each in error.errors())
        raise InputError(f"benchmark {text!r}: {said}") from error


def _of_file(
    name: str, path: Path, config: TrainerConfig
) -> tuple[str, BenchmarkConfig, TrainerConfig]:
    from trainer.data.pair_files import PairFileSettings, PairFileSource

    if not path.is_file():
        raise MissingError(f"no file of pairs at {path}")
    settings = {"path": str(path.absolute()), "split": "test"}
    rows = PairFileSource(PairFileSettings.model_validate(settings)).report().kept
    source = SourceConfig(kind="file", settings=settings)
    data = config.data.model_copy(update={"sources": {**config.data.sources, name: source}})
    wanted = BenchmarkConfig(split="test", parts={name: rows})
    return name, wanted, config.model_copy(update={"data": data})


def _counted(part: str) -> tuple[str, int]:
    source, _, pairs = part.partition("=")
    if not pairs.isdigit():
        raise InputError(f"expected SOURCE=PAIRS with a whole number, got {part!r}")
    return source, int(pairs)
