"""The `data_mix` axis: which sources the training pairs come from (paper, Tables 3 to 5).

The number of pairs stays the baseline's, so mixes differ in content and not in size; the paper's
single-data-set rows differ in both. `scenes+digits` takes equal shares of the named sources;
`without-digits` leaves one source out of the baseline's mix and keeps the others' shares.
"""

from __future__ import annotations

import itertools
from typing import Any

from search_spaces.levels import Level, ShippedAxis
from trainer.config import TrainerConfig

BUILT_IN = ("scenes", "digits", "text")
_LEFT_OUT = "without-"
_MOST_LISTED = 4
"""With more sources than this only single ones are listed; every `a+b` can still be asked for."""


def known_sources(baseline: TrainerConfig) -> tuple[str, ...]:
    """Built-in sources and those the baseline defines."""
    return tuple(dict.fromkeys((*BUILT_IN, *baseline.data.sources)))


def _plain(baseline: TrainerConfig) -> dict[str, Any]:
    """What makes `weights` alone say what is drawn, where the baseline has lists as well."""
    data = baseline.data
    return {"data.leave_out": [], "data.add_in": []} if data.leave_out or data.add_in else {}


def _levels(baseline: TrainerConfig) -> tuple[Level, ...]:
    sources = known_sources(baseline)
    sizes = range(1, len(sources) + 1) if len(sources) <= _MOST_LISTED else (1, len(sources))
    mixes = [mix for size in sizes for mix in itertools.combinations(sources, size)]
    used = list(baseline.data.mix)
    left_out = [_without(name, baseline) for name in used] if len(used) > 1 else []
    return (*(_mix(mix, baseline) for mix in mixes), *left_out)


def _mix(sources: tuple[str, ...], baseline: TrainerConfig) -> Level:
    doc = f"only {sources[0]}" if len(sources) == 1 else f"equal shares of {', '.join(sources)}"
    return Level(
        name="+".join(sources),
        patch=_plain(baseline) | {"data.weights": dict.fromkeys(sources, 1)},
        doc=doc,
    )


def _without(source: str, baseline: TrainerConfig) -> Level:
    weights = {name: weight for name, weight in baseline.data.mix.items() if name != source}
    return Level(
        name=f"{_LEFT_OUT}{source}",
        patch=_plain(baseline) | {"data.weights": weights},
        doc=f"the baseline's mix without {source}",
    )


def _find(name: str, baseline: TrainerConfig) -> Level | None:
    parts = tuple(name.split("+"))
    known = known_sources(baseline)
    if len(set(parts)) == len(parts) and all(part in known for part in parts):
        return _mix(parts, baseline)
    return None


AXIS = ShippedAxis(
    name="data_mix",
    doc="Which sources the training pairs come from, the number of pairs unchanged.",
    levels=_levels,
    find=_find,
)
