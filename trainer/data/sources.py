"""`PreferenceSource`: where preference items come from, and the kinds of source there are.

A source is a class with a pydantic `settings_type`, built from such settings. Other packages add
kinds through the entry-point group `rmsweep.sources`; every adapter (`rmsweep.adapters`) is a kind
too. Opening a source checks its settings and touches no data; nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from infra.errors import DataError
from infra.findings import InvalidSettings, hint, validate
from trainer.config import SourceConfig
from trainer.data.adapters.adapter import Adapter, adapters
from trainer.data.items import PreferenceItem
from trainer.data.pair_files import PairFileSource, RowSettings
from trainer.evaluation_config import Split

ENTRY_POINT_GROUP = "rmsweep.sources"

_BUILT_IN = {
    "scenes": "trainer.data.scene_source:SceneSource",
    "digits": "trainer.data.digits:DigitSource",
    "text": "trainer.data.text_pairs:TextSource",
    "file": "trainer.data.pair_files:PairFileSource",
}


class PreferenceSource(Protocol):
    """Items of three splits that share no group, the same for the same arguments, always."""

    def items(self, split: Split, count: int, *, seed: int) -> Sequence[PreferenceItem]:
        """The first `count` items of a split in the seed's order; fewer when there are no more.

        Item ids are unique within the source, and asking for more only adds items at the end.
        Labels are noisy, where that is asked for, in the training split only.

        Raises:
            DataError: If the source holds nothing that can be used.
        """
        ...

    def size(self, split: Split) -> int | None:
        """Items of a split; none where the source never runs out.

        Raises:
            DataError: As `items`.
        """
        ...

    def digest(self, split: Split, count: int, *, seed: int) -> str:
        """Names what `items` gives: equal digests mean equal items. Draws no image."""
        ...


class SourceClass(Protocol):
    """What an entry point of `rmsweep.sources` names."""

    settings_type: ClassVar[type[BaseModel]]

    def __call__(self, settings: Any) -> PreferenceSource:  # noqa: ANN401 -- of settings_type
        """The source with these settings."""
        ...


@dataclass(frozen=True, slots=True)
class _AdaptedKind:
    """A `SourceClass` that reads rows through one adapter."""

    adapter: Adapter
    settings_type: ClassVar[type[BaseModel]] = RowSettings

    def __call__(self, settings: RowSettings) -> PreferenceSource:
        return PairFileSource(settings, self.adapter)


def known_kinds() -> tuple[str, ...]:
    """Names of every source kind and every adapter."""
    return tuple(dict.fromkeys((*source_kinds(), *adapters())))


@cache
def source_kinds() -> dict[str, EntryPoint]:
    """Every kind that is a class of its own, built in or installed, by name.

    Raises:
        DataError: If an installed package redefines a kind.
    """
    kinds = {name: EntryPoint(name, value, ENTRY_POINT_GROUP) for name, value in _BUILT_IN.items()}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        known = kinds.setdefault(point.name, point)
        if known.value != point.value:
            raise DataError(
                f"data source kind {point.name!r} is defined twice, as {known.value} and "
                f"{point.value}; uninstall one"
            )
    return kinds


def source_settings(config: SourceConfig) -> BaseModel:
    """The settings of a source, checked.

    Raises:
        DataError: If the kind is unknown or its package is broken.
        SpecError: If the settings are wrong, with every problem in them.
    """
    return _settings(_source_class(config.kind), config.kind, config.settings)


def open_source(config: SourceConfig) -> PreferenceSource:
    """The source a config describes; its data is read when it is first asked for.

    Raises:
        DataError: If the kind is unknown or its package is broken.
        SpecError: If the settings are wrong, with every problem in them.
    """
    source_class = _source_class(config.kind)
    return source_class(_settings(source_class, config.kind, config.settings))


def _source_class(kind: str) -> SourceClass:
    kinds = source_kinds()
    if kind not in kinds:
        if kind in adapters():
            return _AdaptedKind(adapters()[kind])
        near = hint(kind, known_kinds()) or f"; known: {', '.join(known_kinds())}"
        raise DataError(f"unknown data source kind {kind!r}{near}")
    try:
        source_class: SourceClass = kinds[kind].load()
    except (ImportError, AttributeError) as error:
        raise DataError(
            f"data source kind {kind!r} ({kinds[kind].value}) cannot be loaded: {error}"
        ) from error
    return source_class


def _settings(source_class: SourceClass, kind: str, settings: Mapping[str, Any]) -> BaseModel:
    try:
        return validate(source_class.settings_type, dict(settings))
    except InvalidSettings as error:
        raise InvalidSettings(error.findings, f"data source {kind!r}") from None
