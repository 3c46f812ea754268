"""What a model trains on and is measured with: sources put together as a config says.

Training items depend on the `DataConfig` alone, never on a trial's seed: arms that differ in
anything else see the same pairs. Benchmarks do not depend on the data seed or the mix, so they
measure every arm on the same items. No group is in both.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Literal

from infra.errors import DataError
from trainer.config import DataConfig
from trainer.data.image_shuffling import UnshuffledImagesError, with_shuffled_images
from trainer.data.items import PreferenceItem
from trainer.data.mixed_items import ChosenItems, Part, mixed, named
from trainer.data.screening import EVERY_ITEM, SCREENING_VERSION, Screen
from trainer.data.sources import PreferenceSource, open_source
from trainer.evaluation.field_metrics import suites
from trainer.evaluation_config import BenchmarkConfig, EvaluationConfig, Split
from trainer.identity import digest

_BENCHMARK_SEED = 0


def training_items(config: DataConfig) -> Sequence[PreferenceItem]:
    """The pairs of one epoch, source after source; the trial's own seed orders them.

    A source that holds fewer items than its share is repeated, whole rounds first; repetitions are
    the same item again, with the same id.

    Raises:
        DataError: If a source has no training items, or none that may be trained on.
    """
    return mixed(training_parts(config))


def training_parts(config: DataConfig, screen: Screen | None = None) -> list[Part]:
    """The sources of the mix with the items that are drawn from each.

    Args:
        config: Of the data.
        screen: Told what is left out; made from the config when absent.

    Raises:
        DataError: As `training_items`.
    """
    if screen is None and config.filtered:
        screen = Screen(config)
    return [
        Part(name=name, items=_drawn(config, name, count, screen), count=count)
        for name, count in training_counts(config).items()
    ]


def _drawn(
    config: DataConfig, name: str, count: int, screen: Screen | None
) -> Sequence[PreferenceItem]:
    source = open_source(config.source(name))
    wanted = asked = min(count, config.caps.get(name, count))
    items = source.items("train", asked, seed=config.seed)
    if not items:
        raise DataError(f"data source {name!r} has no training items")
    if screen is None:
        return items
    kept = array("q")
    looked_at = 0
    while True:
        for place in range(looked_at, len(items)):
            if len(kept) < wanted and screen.admits(items[place]):
                kept.append(place)
        looked_at = len(items)
        if len(kept) == wanted or len(items) < asked:
            break
        # More items only come at the end, so what was looked at stays where it is.
        asked *= 2
        items = source.items("train", asked, seed=config.seed)
    if not kept:
        raise DataError(
            f"no training item of data source {name!r} is left: {_told(screen)}; see "
            "data.duplicates and data.decontaminate"
        )
    return [items[place] for place in kept] if isinstance(items, list) else ChosenItems(items, kept)


def _told(screen: Screen) -> str:
    return ", ".join(f"{count} are {reason}" for reason, count in screen.left_out.most_common())


def training_counts(config: DataConfig) -> dict[str, int]:
    """Training pairs by source, in the order of their names; sources without any are left out.

    Raises:
        DataError: If a temperature is asked for and a source has no size.
    """
    weights = dict(config.mix)
    if config.temperature is not None:
        for name in weights:
            size = open_source(config.source(name)).size("train")
            if size is None:
                raise DataError(
                    f"data.temperature needs sources with a size, and {name!r} never runs out; "
                    "give shares by data.weights alone"
                )
            weights[name] *= min(size, config.caps.get(name, size)) ** (1 / config.temperature)
    if not any(weights.values()):
        raise DataError(f"no source of {', '.join(sorted(weights))} has training items")
    counts = largest_remainder(weights, config.pairs)
    return {name: counts[name] for name in sorted(counts) if counts[name]}


def largest_remainder(weights: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole shares of a total in proportion to weights, summing to it exactly.

    Args:
        weights: At least one must be positive.
        total: What is shared out. Ties go to the smaller name.
    """
    whole = math.fsum(weights.values())
    exact = {name: total * (weight / whole) for name, weight in weights.items()}
    shares = {name: math.floor(share) for name, share in exact.items()}
    by_rest = sorted(
        (name for name in exact if weights[name] > 0),
        key=lambda name: (shares[name] - exact[name], name),
    )
    for name in by_rest[: total - sum(shares.values())]:
        shares[name] += 1
    return shares


def data_digests(config: DataConfig) -> dict[str, str]:
    """Content digest of every source's training items, by source name.

    Raises:
        MissingError: If a file is not here, as when only the cluster sees it.
        DataError: If a source holds nothing that can be used.
    """
    counts = training_counts(config)
    if not config.filtered:
        return {
            name: open_source(config.source(name)).digest(
                "train", min(count, config.caps.get(name, count)), seed=config.seed
            )
            for name, count in counts.items()
        }
    # What is left out follows from all there is, here and in the sources compared with.
    names = sorted({*counts, *config.decontaminate.against})
    every = {
        name: [
            open_source(config.source(name)).digest(split, EVERY_ITEM, seed=config.seed)
            for split in ("train", "validation", "test")
        ]
        for name in names
    }
    rules = config.model_dump(mode="json", include={"duplicates", "decontaminate", "caps"})
    told = {"counts": counts, "every": every, "rules": rules, "version": SCREENING_VERSION}
    return {name: digest({"name": name, **told}) for name in counts}


def benchmark_items(data: DataConfig, benchmark: BenchmarkConfig) -> list[PreferenceItem]:
    """The items of a benchmark; `data` only says what its source names mean.

    Raises:
        DataError: If a source holds fewer items than asked for, all are asked for of one without
            an end, or images cannot be shuffled.
    """
    items: list[PreferenceItem] = []
    for name, count in sorted(benchmark.parts.items()):
        source = open_source(data.source(name))
        most = _at_most(count, benchmark.split, name, source)
        drawn = source.items(benchmark.split, most, seed=_BENCHMARK_SEED)
        if count == "all" and not drawn:
            raise DataError(f"data source {name!r} has no {benchmark.split} items")
        if count != "all" and len(drawn) < count:
            raise DataError(
                f"a benchmark asks for {count} {benchmark.split} items of data source {name!r}, "
                f"which has {len(drawn)}; ask for at most that many"
            )
        items += [named(name, item) for item in drawn]
    return with_shuffled_images(items) if benchmark.shuffle_images else items


def items_by_benchmark(
    data: DataConfig, evaluation: EvaluationConfig
) -> dict[str, list[PreferenceItem]]:
    """The items of every benchmark that can be scored.

    A text-only twin is left out where no image tells it apart: a benchmark of texts has none.

    Raises:
        DataError: As `benchmark_items`, of a benchmark that is asked for by name.
    """
    found = {}
    for name, benchmark in evaluation.benchmarks.items():
        try:
            found[name] = benchmark_items(data, benchmark)
        except UnshuffledImagesError:
            if not evaluation.is_twin(name):
                raise
    return found


def benchmark_digest(data: DataConfig, benchmark: BenchmarkConfig) -> str:
    """Names the items of a benchmark.

    Raises:
        MissingError: If a file is not here, as when only the cluster sees it.
        DataError: If a source holds nothing that can be used, or has no end and all is asked for.
    """
    parts = {}
    for name, count in benchmark.parts.items():
        source = open_source(data.source(name))
        most = _at_most(count, benchmark.split, name, source)
        parts[name] = source.digest(benchmark.split, most, seed=_BENCHMARK_SEED)
    shown = "other images, no texts" if benchmark.shuffle_images else False
    return digest({"parts": parts, "shuffle_images": shown})


def benchmark_suite(data: DataConfig, benchmark: BenchmarkConfig) -> str | None:
    """The benchmark of the field this is, by the adapter all its parts are read with; or none."""
    kinds = {data.source(name).kind for name in benchmark.parts}
    kind = kinds.pop()
    return kind if not kinds and kind in suites() else None


def _at_most(count: int | Literal["all"], split: Split, name: str, source: PreferenceSource) -> int:
    if count != "all":
        return count
    if source.size(split) is None:
        raise DataError(
            f"a benchmark asks for all {split} items of data source {name!r}, which never runs "
            "out; say how many"
        )
    return EVERY_ITEM
