"""Foreign models against one another: the same labels, one split a benchmark, and who lacks items.

`scored` holds each model's scores by (number of the model, benchmark).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.layouts import Scored

ByModel = Mapping[tuple[int, str], Scored]


def check_labels(scored: ByModel, problems: list[str]) -> None:
    """Adds a problem for every benchmark whose ranks, groups or split models disagree on."""
    by_benchmark: dict[str, dict[str, Scored]] = {}
    for (_, benchmark), held in scored.items():
        by_benchmark.setdefault(benchmark, {}).setdefault(held.layout.digest, held)
    labels = ["rank", "group_id", "split"]
    for benchmark, layouts in by_benchmark.items():
        frames = [
            held.layout.rows.select(["item_id", "response", *labels]).to_pandas()
            for held in layouts.values()
        ]
        every = pd.concat(frames).drop_duplicates()
        unlike = every[every.duplicated(["item_id", "response"])]
        if len(unlike):
            item = unlike.iloc[0]["item_id"]
            differing = [
                name
                for name in labels
                if every.loc[every["item_id"] == item].groupby("response")[name].nunique().max() > 1
            ]
            problems.append(
                f"benchmark {benchmark!r}: models disagree on {' and '.join(differing)} of "
                f"{unlike['item_id'].nunique()} items, such as {item!r}; they were not scored on "
                "the same data, so give one of the benchmarks another name"
            )


def splits_of(scored: ByModel, problems: list[str]) -> dict[str, str]:
    """Split of every benchmark; adds a problem where there are several."""
    splits: dict[str, set[str]] = {}
    for (_, benchmark), held in scored.items():
        found = held.layout.rows["split"].unique().to_pylist()
        splits.setdefault(benchmark, set()).update(found)
    for benchmark, found in splits.items():
        if len(found) > 1:
            problems.append(
                f"benchmark {benchmark!r} holds {' and '.join(sorted(found))} items; give each "
                "split its own benchmark name"
            )
    return {benchmark: min(found) for benchmark, found in splits.items()}


def missing_items(labels: Sequence[str], scored: ByModel) -> list[str]:
    """Who lacks how many of the items that any model was scored on, in words."""
    said = []
    for benchmark in dict.fromkeys(name for _, name in scored):
        held = {index: scored.get((index, benchmark)) for index in range(len(labels))}
        items = {
            each.layout.digest: set(each.layout.rows["item_id"].to_pylist())
            for each in held.values()
            if each is not None
        }
        every = set().union(*items.values())
        for index, each in held.items():
            lacking = len(every) - (len(items[each.layout.digest]) if each is not None else 0)
            if lacking:
                said.append(
                    f"{labels[index]} lacks {lacking} of {len(every)} items of "
                    f"benchmark {benchmark!r}"
                )
    return said
