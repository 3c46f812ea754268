"""Benchmarks as they are written on the command line.

Four forms: the name of a benchmark the trial's config has, `NAME:SPLIT:SOURCE=PAIRS,...` over the
config's sources (`all` for every item), `NAME=FILE` for all usable rows of a file of pairs, or
`NAME=ADAPTER:PATH` for a published set, such as `vlrb=vl-rewardbench:test.parquet`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from infra.errors import InputError, MissingError
from trainer.config import SourceConfig, TrainerConfig
from trainer.data.adapters.adapter import adapters
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig

if TYPE_CHECKING:
    from sweep.records.rows import TrialView


def config_of(view: TrialView) -> TrainerConfig:
    """The trainer config of a trial in the ledger."""
    return TrainerConfig.model_validate(view.config_json)


def benchmark_of(text: str, config: TrainerConfig) -> tuple[str, BenchmarkConfig, TrainerConfig]:
    """A benchmark's name, what it holds, and the config that knows its sources.

    Raises:
        InputError: If the text is none of the four forms, or no benchmark can be called so.
        MissingError: If its file is not there.
    """
    name, wanted, config = _written(text, config)
    try:
        EvaluationConfig(benchmarks={name: wanted})
    except ValidationError as error:
        raise _refused(text, error) from error
    return name, wanted, config


def _written(text: str, config: TrainerConfig) -> tuple[str, BenchmarkConfig, TrainerConfig]:
    known = config.evaluation.benchmarks
    if text in known:
        return text, known[text], config
    name, separator, rest = text.partition("=")
    if separator and ":" not in name:
        kind, colon, path = rest.partition(":")
        if colon and kind in adapters():
            return _of_rows(name, kind, path, config)
        if not Path(rest).is_file():
            raise MissingError(f"no file of pairs at {rest}")
        return _of_rows(name, "file", rest, config)
    parts = text.split(":")
    if len(parts) != 3:
        raise InputError(
            f"expected one of {', '.join(sorted(known))}, NAME:SPLIT:SOURCE=PAIRS,..., "
            f"NAME=FILE or NAME=ADAPTER:PATH, got {text!r}"
        )
    wanted = {"split": parts[1], "parts": dict(_counted(part) for part in parts[2].split(","))}
    try:
        return parts[0], BenchmarkConfig.model_validate(wanted), config
    except ValidationError as error:
        raise _refused(text, error) from error


def _refused(text: str, error: ValidationError) -> InputError:
    said = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
    return InputError(f"benchmark {text!r}: {said}")


def _of_rows(
    name: str, kind: str, path: str, config: TrainerConfig
) -> tuple[str, BenchmarkConfig, TrainerConfig]:
    local = path if "://" in path else str(Path(path).expanduser().absolute())
    source = SourceConfig(kind=kind, settings={"path": local, "split": "test"})
    data = config.data.model_copy(update={"sources": {**config.data.sources, name: source}})
    wanted = BenchmarkConfig(split="test", parts={name: "all"})
    return name, wanted, config.model_copy(update={"data": data})


def _counted(part: str) -> tuple[str, int | Literal["all"]]:
    source, _, pairs = part.partition("=")
    if pairs == "all":
        return source, "all"
    if not pairs.isdigit():
        raise InputError(f"expected SOURCE=PAIRS with a whole number or all, got {part!r}")
    return source, int(pairs)
