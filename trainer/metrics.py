"""What a score table says: metrics of a benchmark, and the outcome of every pair.

Pure functions of the table; torch-free, so that the engine and the analysis use the same ones. A
pair counts as right only when the better response scores strictly higher: ties are wrong, and
reported.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from infra.errors import InputError


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


def benchmark_metrics(table: pa.Table) -> dict[str, float]:
    """Metrics of one benchmark's score table.

    Returns:
        `accuracy`, `ties` (shares of pairs), `pairs`, `accuracy_<category>`, `margin` (mean score
        difference), `longer_wins` (share of unequal pairs in which the longer response scores
        higher), and for judges `position_bias` (how much more often than half the response shown
        first is preferred, from -0.5 to 0.5) and `parsed` (share of verdicts that were one).

    Raises:
        InputError: If the table holds no pair of different ranks.
    """
    pairs = pair_outcomes(table)
    if pairs.empty:
        raise InputError("a score table without a pair of different ranks has no accuracy")
    metrics = {
        "accuracy": float(pairs["correct"].mean()),
        "ties": float(pairs["tied"].mean()),
        "pairs": float(len(pairs)),
        "margin": float(pairs["margin_score"].mean()),
    }
    if pairs["longer_wins"].notna().any():
        metrics["longer_wins"] = float(pairs["longer_wins"].mean())
    categories = pairs.groupby("category", sort=True)["correct"].mean()
    metrics |= {
        f"accuracy_{name}": float(value) for name, value in categories.items() if name != ""
    }
    return metrics | _judge_metrics(table)


def _judge_metrics(table: pa.Table) -> dict[str, float]:
    frame = table.to_pandas()
    if frame["order"].max() == 0:
        return {}
    # In order 0 responses are shown as given, so of two the one with the lower index came first.
    wide = frame.pivot_table(index=["item_id", "response"], columns="order", values="score")
    pairs = wide.reset_index()
    pairs = pairs.merge(pairs, on="item_id", suffixes=("_a", "_b"))
    pairs = pairs[pairs["response_a"] < pairs["response_b"]]
    first_wins = np.concatenate([pairs["0_a"] > pairs["0_b"], pairs["1_b"] > pairs["1_a"]])
    return {
        "position_bias": float(first_wins.mean() - 0.5),
        "parsed": float(frame["parsed"].mean()),
    }
