"""`rmsweep data inspect`: what there is to know of data before it is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.errors import InputError, MissingError
from infra.findings import hint
from sweep.cli.console import out, print_json
from sweep.cli.plan_verbs import Json, Overrides
from trainer.config import SourceConfig

if TYPE_CHECKING:
    from trainer.config import TrainerConfig

_SWEEP_ENDINGS = (".yaml", ".yml")

data_app = typer.Typer(no_args_is_help=True, help="Look at data before it is trained on.")


def add_to(app: typer.Typer) -> None:
    """Register the verbs."""
    app.add_typer(data_app, name="data")


@data_app.callback()
def _data() -> None:
    """Look at data before it is trained on."""


@dataclass(frozen=True)
class _Asked:
    """Sources by name, and the config that mixes them, if it is one that is inspected."""

    sources: dict[str, SourceConfig]
    config: TrainerConfig | None


@data_app.command("inspect")
def inspect(
    source: Annotated[
        str,
        typer.Argument(
            help="A kind such as `scenes`, a file or folder of pairs, `KIND:PATH` such as "
            "`rlaif-v:train.parquet`, or a sweep file, whose data is inspected."
        ),
    ],
    items: Annotated[int, typer.Option(min=1, help="Items of each split to look at.")] = 2000,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A source of the sweep file; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="A setting of the source, such as `image_folder=images`; repeatable."
        ),
    ] = None,
    overrides: Overrides = None,
    json: Json = False,
) -> None:
    """Count what is kept and what is not, and look for shortcuts and leaks."""
    from sweep.cli.data_view import mix_view, source_view
    from trainer.data.inspection import inspect_source
    from trainer.data.mix_inspection import inspect_mix

    asked = _asked(source, only or [], overrides or [])
    given = _settings(settings or [])
    found = [
        inspect_source(
            name, each.model_copy(update={"settings": each.settings | given}), most=items
        )
        for name, each in asked.sources.items()
    ]
    mix = None if asked.config is None or only else inspect_mix(asked.config)
    if json:
        print_json(
            {
                "sources": [each.plain() for each in found],
                "mix": None if mix is None else mix.plain(),
            }
        )
        return
    for each in found:
        out.print(source_view(each))
    if mix is not None:
        out.print(mix_view(mix))


def _settings(texts: list[str]) -> dict[str, Any]:
    import yaml

    settings: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"expected --with NAME=VALUE, got {text!r}")
        try:
            settings[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--with {text}: {error}") from error
    return settings


def _asked(source: str, only: list[str], overrides: list[str]) -> _Asked:
    from trainer.data.sources import known_kinds

    kinds = known_kinds()
    kind, colon, path = source.partition(":")
    if colon and kind in kinds:
        return _Asked({kind: SourceConfig(kind=kind, settings={"path": path})}, None)
    if source in kinds:
        return _Asked({source: SourceConfig(kind=source)}, None)
    if source.endswith(_SWEEP_ENDINGS) or not _is_place(source):
        return _of_sweep(source, only, overrides)
    name = Path(source.rstrip("/")).name
    return _Asked({name: SourceConfig(kind="file", settings={"path": source})}, None)


def _is_place(source: str) -> bool:
    return "://" in source or Path(source).expanduser().exists()


def _of_sweep(file: str, only: list[str], overrides: list[str]) -> _Asked:
    from sweep.cli.train_verbs import point_config
    from trainer.data.sources import known_kinds

    recipe = file.endswith(_SWEEP_ENDINGS) or "/" not in file
    if not recipe:
        raise MissingError(f"there is no file, folder or source named {file!r}")
    try:
        config = point_config(file, (), overrides)
    except MissingError as error:
        kinds = known_kinds()
        raise MissingError(
            f"{file!r} is no kind of source, file, folder or sweep file{hint(file, kinds)}"
        ) from error
    parts = [name for each in config.evaluation.benchmarks.values() for name in each.parts]
    against = config.data.decontaminate.against
    names = list(dict.fromkeys([*config.data.mix, *config.data.sources, *parts, *against]))
    for name in only:
        if name not in names:
            raise MissingError(f"{file} has no data source {name!r}{hint(name, names)}")
    wanted = only or names
    return _Asked({name: config.data.source(name) for name in wanted}, config)
