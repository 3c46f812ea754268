"""What a score table says: metrics of a benchmark, and the outcome of every pair.

Pure functions of the table; torch-free, so that the engine and the analysis use the same ones. A
pair counts as right only when the better response scores strictly higher: ties are wrong, and
reported. Beside every accuracy stands what a trivial rule would have reached on the same pairs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from infra.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def pair_outcomes(table: pa.Table) -> pd.DataFrame:
    """One row per pair of responses with different ranks.

    Returns:
        Columns benchmark, split, item_id, group_id, category, source, modality, label_weight,
        chosen, rejected (response indices), correct (0 or 1), tied (0 or 1), margin_score (score
        difference, averaged over presentations), longer_wins (1 when the longer response scores
        higher, NaN when they are equally long). Rows keep the table's order of items.
    """
    scores = response_scores(table)
    pairs = scores.merge(scores, on=["benchmark", "item_id"], suffixes=("", "_rejected"))
    pairs = pairs[pairs["rank"] < pairs["rank_rejected"]].reset_index(drop=True)
    difference = pairs["score"] - pairs["score_rejected"]
    longer = np.sign(pairs["response_characters"] - pairs["response_characters_rejected"])
    pairs["longer_wins"] = np.where(longer == 0, np.nan, np.sign(difference) * longer > 0)
    pairs["chosen"] = pairs["response"]
    pairs["rejected"] = pairs["response_rejected"]
    pairs["correct"] = (difference > 0).astype(int)
    pairs["tied"] = (difference == 0).astype(int)
    pairs["margin_score"] = difference
    kept = ["benchmark", "split", "item_id", "group_id", "category", "source", "modality"]
    kept += ["label_weight", "chosen", "rejected", "correct", "tied", "margin_score"]
    outcomes: pd.DataFrame = pairs[[*kept, "longer_wins"]]
    return outcomes


def response_scores(table: pa.Table) -> pd.DataFrame:
    """The table with one row per response: the mean score over the presentations of a judge."""
    frame: pd.DataFrame = table.to_pandas()
    keys = ["benchmark", "item_id", "response"]
    if not frame.duplicated(keys).any():
        return frame
    groups = frame.groupby(keys, sort=False)
    first = frame.drop_duplicates(keys).set_index(keys)
    first["score"] = groups["score"].mean()
    first["parsed"] = groups["parsed"].all()
    return first.reset_index()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredItem:
    """The scores of one item's responses; arrays are by response, in the table's order."""

    item_id: str
    group_id: str
    category: str
    source: str
    responses: np.ndarray
    """Their own indices."""
    ranks: np.ndarray
    scores: np.ndarray
    """Averaged over a judge's presentations."""
    lengths: np.ndarray
    """Characters."""
    parsed: bool
    """Whether every presentation gave a verdict."""
    presentations: Mapping[int, np.ndarray]
    """Scores by order of presentation; only order 0 unless a judge saw both responses."""

    def pairs(self) -> list[tuple[int, int]]:
        """(better, worse) places of every pair of different ranks."""
        places = range(len(self.ranks))
        return [(i, j) for i in places for j in places if self.ranks[i] < self.ranks[j]]


def scored_items(table: pa.Table) -> list[ScoredItem]:
    """A score table item by item, in the order it first names them."""
    columns = {name: table[name].to_pylist() for name in _READ}
    rows: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(columns["benchmark"], columns["item_id"], strict=True)):
        rows.setdefault(key, []).append(row)
    return [_scored_item(columns, members) for members in rows.values()]


_READ = (
    "benchmark", "item_id", "group_id", "category", "source", "response", "rank", "score", "order",
    "parsed", "response_characters",
)  # fmt: skip


def _scored_item(columns: Mapping[str, list[object]], rows: Sequence[int]) -> ScoredItem:
    by_order: dict[int, dict[int, float]] = {}
    first: dict[int, int] = {}
    for row in rows:
        response, order = int(str(columns["response"][row])), int(str(columns["order"][row]))
        by_order.setdefault(order, {})[response] = float(str(columns["score"][row]))
        first.setdefault(response, row)
    responses = list(first)
    shown = {
        order: np.array([scores.get(response, np.nan) for response in responses])
        for order, scores in by_order.items()
    }
    row = rows[0]
    return ScoredItem(
        item_id=str(columns["item_id"][row]),
        group_id=str(columns["group_id"][row]),
        category=str(columns["category"][row]),
        source=str(columns["source"][row]),
        responses=np.array(responses),
        ranks=np.array([columns["rank"][first[response]] for response in responses]),
        scores=np.nanmean(np.stack(list(shown.values())), axis=0),
        lengths=np.array([columns["response_characters"][first[each]] for each in responses]),
        parsed=all(bool(columns["parsed"][each]) for each in rows),
        presentations=shown,
    )


def longer_first(items: Iterable[ScoredItem]) -> list[ScoredItem]:
    """The items as a judge would score them that always prefers the longer response."""
    return [_rescored(item, item.lengths.astype(float)) for item in items]


def given_first(items: Iterable[ScoredItem]) -> list[ScoredItem]:
    """The items as a judge would score them that always prefers the response given first."""
    return [_rescored(item, -item.responses.astype(float)) for item in items]


BASELINES = {"longer": longer_first, "first": given_first}
"""What needs no model: a result that is not above these says little."""


def _rescored(item: ScoredItem, scores: np.ndarray) -> ScoredItem:
    return replace(item, scores=scores, parsed=True, presentations={0: scores})


def text_only(items: Iterable[ScoredItem], twin: pa.Table) -> list[ScoredItem]:
    """The items as the model scored them in the text-only twin; those without images as they are.

    Args:
        items: Of a benchmark.
        twin: Score table of its text-only twin.
    """
    blind = {item.item_id: item for item in scored_items(twin)}
    return [blind.get(item.item_id, item) for item in items]


def benchmark_metrics(
    table: pa.Table, *, suite: str | None = None, twin: pa.Table | None = None
) -> dict[str, float]:
    """Metrics of one benchmark's score table.

    Args:
        table: Scores of one benchmark.
        twin: Scores of its text-only twin, where that was scored.
        suite: A benchmark of the field, whose published metrics are added under their own names
            (`trainer.evaluation.field_metrics`).

    Returns:
        `accuracy`, `ties` (shares of pairs), `pairs`; `accuracy_category_<category>` and
        `pairs_category_<category>`, `accuracy_source_<source>` and `pairs_source_<source>`;
        `margin` (mean score difference), `longer_wins` (share of unequal pairs in which the longer
        response scores higher), `baseline_longer` and `baseline_first` (accuracy of always
        preferring the longer response, or the one given first), `baseline_text_only` (of this model
        with other items' images; only with a twin), and for judges `position_bias` (how much more
        often than half the response shown first is preferred, from -0.5 to 0.5; an undecided
        verdict leans to no side), `position_consistency` (share of pairs judged alike in both
        orders) and `parsed` (share of verdicts that were one).

    Raises:
        InputError: If the table holds no pair of different ranks, if the suite is unknown, or if
            it names a metric like one of these.
    """
    from trainer.evaluation.field_metrics import field_metrics

    items = scored_items(table)
    if not any(item.pairs() for item in items):
        raise InputError("a score table without a pair of different ranks has no accuracy")
    metrics = _accuracies(items) | _judge_metrics(items)
    baselines = {name: judge(items) for name, judge in BASELINES.items()}
    if twin is not None:
        baselines["text_only"] = text_only(items, twin)
    for name, rescored in baselines.items():
        metrics[f"baseline_{name}"] = _accuracies(rescored)["accuracy"]
    if suite is not None:
        published = field_metrics(items, suite, baselines)
        if taken := sorted(published.keys() & metrics.keys()):
            raise InputError(
                f"benchmark suite {suite!r} gives {', '.join(taken)}, which every benchmark has; "
                "call what it measures something else"
            )
        metrics |= published
    return metrics


def _accuracies(items: Iterable[ScoredItem]) -> dict[str, float]:
    differences: list[float] = []
    lengths: list[float] = []
    slices: dict[str, list[int]] = defaultdict(list)
    for item in items:
        named = {"category": item.category, "source": item.source}
        names = [f"{kind}_{name}" for kind, name in named.items() if name]
        for better, worse in item.pairs():
            for name in names:
                slices[name].append(len(differences))
            differences.append(float(item.scores[better] - item.scores[worse]))
            lengths.append(float(np.sign(item.lengths[better] - item.lengths[worse])))
    difference, longer = np.array(differences), np.array(lengths)
    right = difference > 0
    metrics = {
        "accuracy": float(right.mean()),
        "ties": float((difference == 0).mean()),
        "pairs": float(len(difference)),
        "margin": float(difference.mean()),
    }
    if longer.any():
        metrics["longer_wins"] = float((np.sign(difference) * longer > 0)[longer != 0].mean())
    for name, members in sorted(slices.items()):
        metrics[f"accuracy_{name}"] = float(right[members].mean())
        metrics[f"pairs_{name}"] = float(len(members))
    return metrics


def _preferred(one: float, other: float) -> float:
    """1 when the first wins, half when neither does: an undecided judge leans to no side."""
    return float(one > other) + 0.5 * float(one == other)


def _judge_metrics(items: Sequence[ScoredItem]) -> dict[str, float]:
    if max(max(item.presentations) for item in items) == 0:
        return {}
    # In order 0 responses are shown as given, so of two the one with the lower index came first.
    first_wins: list[float] = []
    for item in items:
        as_given, swapped = item.presentations[0], item.presentations[1]
        places = range(len(item.responses))
        for one in places:
            for other in places:
                if item.responses[one] < item.responses[other]:
                    first_wins += [
                        _preferred(as_given[one], as_given[other]),
                        _preferred(swapped[other], swapped[one]),
                    ]
    given, turned = first_wins[::2], first_wins[1::2]
    agree = [one + two == 1 for one, two in zip(given, turned, strict=True)]
    return {
        "position_consistency": float(np.mean(agree)),
        "position_bias": float(np.mean(first_wins) - 0.5),
        "parsed": float(np.mean([item.parsed for item in items])),
    }
