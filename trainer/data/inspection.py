"""What there is to know of a source before it is trained on: figures, and what they warn of.

Figures of rows cover the whole source; figures of items cover at most so many of each split, the
first in the order of seed 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.config import SourceConfig
from trainer.data.items import PreferenceItem, Response
from trainer.data.pair_files import PairFileSource
from trainer.data.row_report import DataReport
from trainer.data.screening import Contamination
from trainer.data.sources import open_source
from trainer.evaluation_config import Split

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
QUANTILES = {"least": 0.0, "half": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
NEAR_THRESHOLD = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFigures:
    """Over every pair of responses with different ranks."""

    pairs: int
    longer_wins: float
    """Share whose better response is the longer one: what a count of characters would score."""
    equal_lengths: float
    first_wins: float
    """Share whose better response comes first, as the model is shown them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """How items hang together."""

    groups: int
    largest: int
    straddling: int
    """Groups with items in two splits."""
    leaked: int
    """Held-out items that share an image, or a prompt without one, with a training item."""
    nearly_leaked: int
    """Held-out items nearly the same as a training item, those not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInspection:
    """One source."""

    name: str
    kind: str
    report: DataReport | None
    """Of its rows; none where code draws the items."""
    splits: Mapping[str, int | None]
    """Items by split; none where a split never runs out."""
    looked_at: int
    """Items that the figures below are of."""
    pairs: PairFigures
    groups: GroupFigures
    lengths: Mapping[str, Mapping[str, int]]
    """Quantiles of characters: of prompts, better and worse responses."""
    responses: Mapping[int, int]
    """Items by number of responses."""
    holds: Mapping[str, int]
    """Items with images, ties among their responses, a margin, a soft label, critiques."""
    categories: Mapping[str, int]
    notes: tuple[str, ...]
    """What a careful reader would remark on."""

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self) | {"quantiles": QUANTILES}


def inspect_source(name: str, config: SourceConfig, *, most: int) -> SourceInspection:
    """Look a source over.

    Args:
        name: What to call it.
        config: What it is.
        most: Items of each split to look at.

    Raises:
        MissingError: If its file is not there.
        DataError: If it cannot be read.
        SpecError: If its settings are wrong.
    """
    source = open_source(config)
    items: dict[Split, Sequence[PreferenceItem]] = dict.fromkeys(SPLITS, ())
    sizes: dict[str, int | None] = dict.fromkeys(SPLITS, 0)
    report = source.report() if isinstance(source, PairFileSource) else None
    if report is None or report.kept:
        items = {split: source.items(split, most, seed=0) for split in SPLITS}
        sizes = {split: source.size(split) for split in SPLITS}
    every = [item for found in items.values() for item in found]
    pairs, groups = pair_figures(every), _group_figures(items)
    return SourceInspection(
        name=name,
        kind=config.kind,
        report=report,
        splits=sizes,
        looked_at=len(every),
        pairs=pairs,
        groups=groups,
        lengths=_lengths(every),
        responses=dict(sorted(Counter(len(item.responses) for item in every).items())),
        holds=_holds(every),
        categories=dict(Counter(item.category for item in every).most_common()),
        notes=tuple([*_row_notes(report), *_pair_notes(pairs), *_group_notes(groups)]),
    )


def pair_figures(items: Iterable[PreferenceItem]) -> PairFigures:
    """Figures of every pair of different ranks."""
    longer: list[float] = []
    first: list[bool] = []
    for item in items:
        for place, one in enumerate(item.responses):
            for other_place, other in enumerate(item.responses):
                if one.rank < other.rank:
                    longer.append(float(np.sign(len(one.text) - len(other.text))))
                    first.append(place < other_place)
    signs = np.array(longer) if longer else np.zeros(0)
    return PairFigures(
        pairs=len(longer),
        longer_wins=_share(signs > 0),
        equal_lengths=_share(signs == 0),
        first_wins=_share(np.array(first, dtype=bool)),
    )


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _group_figures(items: Mapping[Split, Sequence[PreferenceItem]]) -> GroupFigures:
    homes: dict[str, set[Split]] = {}
    sizes: Counter[str] = Counter()
    for split, found in items.items():
        for item in found:
            homes.setdefault(item.group_id, set()).add(split)
            sizes[item.group_id] += 1
    trained = items["train"]
    held_out = [*items["validation"], *items["test"]]
    exact = near = 0
    if trained and held_out:
        same = Contamination(trained, near=False, threshold=1.0)
        alike = Contamination(trained, near=True, threshold=NEAR_THRESHOLD)
        exact = sum(same.reason(item) is not None for item in held_out)
        near = sum(alike.reason(item) is not None for item in held_out) - exact
    return GroupFigures(
        groups=len(homes),
        largest=max(sizes.values(), default=0),
        straddling=sum(len(splits) > 1 for splits in homes.values()),
        leaked=exact,
        nearly_leaked=near,
    )


def _lengths(items: Sequence[PreferenceItem]) -> dict[str, dict[str, int]]:
    def best(response: Response, item: PreferenceItem) -> bool:
        return response.rank == min(each.rank for each in item.responses)

    told = {
        "prompt": [len(item.prompt) for item in items],
        "better response": [len(r.text) for i in items for r in i.responses if best(r, i)],
        "worse response": [len(r.text) for i in items for r in i.responses if not best(r, i)],
    }
    return {
        what: {
            name: int(np.quantile(values, part, method="lower")) for name, part in QUANTILES.items()
        }
        for what, values in told.items()
        if values
    }


def _holds(items: Sequence[PreferenceItem]) -> dict[str, int]:
    return {
        "images": sum(bool(item.images) for item in items),
        "several images": sum(len(item.images) > 1 for item in items),
        "ties": sum(len({r.rank for r in item.responses}) < len(item.responses) for item in items),
        "margins": sum(item.margin is not None for item in items),
        "soft labels": sum(item.soft_label is not None for item in items),
        "critiques": sum(any(r.critique for r in item.responses) for item in items),
    }


def _row_notes(report: DataReport | None) -> Iterable[str]:
    if report is None:
        return
    lost = sum(report.dropped.values())
    if not report.kept:
        yield "no row can be used"
        return
    if lost > 0.1 * (report.kept + lost):
        yield f"{lost / (report.kept + lost):.0%} of the rows cannot be used"
    if report.contradicted:
        yield (
            f"{report.contradicted} judgements contradict another of the same two responses; "
            "`contradictions: drop` leaves them out"
        )


def _pair_notes(pairs: PairFigures) -> Iterable[str]:
    if not pairs.pairs:
        return
    chance = 3 * 0.5 / math.sqrt(pairs.pairs)
    decided = 1 - pairs.equal_lengths
    rule = pairs.longer_wins / decided if decided else 0.5
    if abs(rule - 0.5) > max(0.1, chance):
        which = "longer" if rule > 0.5 else "shorter"
        yield (
            f"of responses of different length the {which} is better in "
            f"{max(rule, 1 - rule):.0%}: length alone scores that"
        )
    if abs(pairs.first_wins - 0.5) > max(0.1, chance):
        yield (
            f"the response given first is better in {pairs.first_wins:.0%}: a judge that sees one "
            "order only could score that blindly"
        )


def _group_notes(groups: GroupFigures) -> Iterable[str]:
    if groups.straddling:
        yield f"{groups.straddling} groups have items in two splits"
    if groups.leaked:
        yield f"{groups.leaked} held-out items share an image or a prompt with training items"
    if groups.nearly_leaked:
        yield (
            f"{groups.nearly_leaked} held-out items are nearly the same as a training item; "
            "give such rows one group_id"
        )
