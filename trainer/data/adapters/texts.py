"""Preference sets in words: Skywork, UltraFeedback, Tulu 3, OLMo 2, SHP, hh-rlhf."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations

from trainer.data.adapters.adapter import Adapter, Row
from trainer.data.adapters.cells import (
    answer,
    as_rows,
    asked,
    by_score,
    judged,
    number,
    pair,
    text,
    transcript,
)
from trainer.data.items import Response
from trainer.data.pair_rows import PairRow, Reason, UnusableRow


def chat_pair(row: Row) -> Iterator[PairRow]:
    """Chats that differ in their last answer: Skywork-80K, Tulu 3, OLMo 2, UltraFeedback-binarized.

    Where both answers are rated, the gap is the margin, and equal ratings are a tie.
    """
    chosen = row["chosen"]
    prompt, better, worse = asked(row, chosen), answer(chosen), answer(row["rejected"])
    category = str(row.get("source") or "")
    for names in (("score_chosen", "score_rejected"), ("chosen_rating", "rejected_rating")):
        if all(row.get(name) is not None for name in names):
            gap = number(row[names[0]]) - number(row[names[1]])
            # The chosen answer stays the better one even where a rating disagrees with the choice.
            known = max(0.0, gap)
            yield judged(
                prompt, better, worse, 1 if gap else 0, category=category, margin=known or None
            )
            return
    yield pair(prompt, better, worse, category=category)


def ultrafeedback(row: Row) -> Iterator[PairRow]:
    """UltraFeedback as published: four responses ranked by `overall_score`.

    Rows from truthful_qa are left out, as its authors ask, because a benchmark holds them. Use the
    revision with the repaired scores (40b43656).
    """
    texts, scores = _completions(row)
    yield PairRow(
        prompt=text(row, "instruction"),
        responses=by_score(texts, scores),
        category=str(row.get("source") or ""),
    )


def ultrafeedback_pairs(row: Row) -> Iterator[PairRow]:
    """Every pair of different scores (the paper's Ultra-All, about 300k); the gap is the margin."""
    texts, scores = _completions(row)
    for (one, high), (other, low) in combinations(zip(texts, scores, strict=True), 2):
        if high != low:
            better, worse = (one, other) if high > low else (other, one)
            yield _scored_pair(row, better, worse, abs(high - low))


def ultrafeedback_hard(row: Row) -> Iterator[PairRow]:
    """The pair with the largest gap only (the paper's Ultra-Hard, 63k)."""
    texts, scores = _completions(row)
    gap = max(scores) - min(scores)
    if not gap:
        raise UnusableRow(Reason.TIED)
    better, worse = texts[scores.index(max(scores))], texts[scores.index(min(scores))]
    yield _scored_pair(row, better, worse, gap)


def _scored_pair(row: Row, better: str, worse: str, gap: float) -> PairRow:
    category = str(row.get("source") or "")
    return pair(text(row, "instruction"), better, worse, margin=gap, category=category)


def _completions(row: Row) -> tuple[list[str], list[float]]:
    if row.get("source") == "truthful_qa":
        raise UnusableRow(Reason.EXCLUDED)
    texts: list[str] = []
    scores: list[float] = []
    for completion in as_rows(row["completions"]):
        words = completion.get("response")
        # Models often give the same short answer; its first score stands.
        if isinstance(words, str) and words.strip() and words not in texts:
            texts.append(words)
            scores.append(number(completion.get("overall_score")))
    if len(texts) < 2:
        raise UnusableRow(Reason.ONE_RESPONSE)
    return texts, scores


def shp(row: Row) -> Iterator[PairRow]:
    """SHP: two comments on one post; `labels` 1 says the first has more votes for its age.

    The margin is the logarithm of `score_ratio`; posts are groups, and domains categories.
    """
    label = int(number(row["labels"], Reason.NO_VERDICT))
    if label not in (0, 1):
        raise UnusableRow(Reason.NO_VERDICT)
    ratio = row.get("score_ratio")
    yield judged(
        text(row, "history"),
        text(row, "human_ref_A"),
        text(row, "human_ref_B"),
        1 if label else -1,
        group=str(row["post_id"]),
        category=str(row.get("domain") or "").removesuffix("_train").removesuffix("_test"),
        margin=math.log(number(ratio)) if ratio and number(ratio) >= 1 else None,
    )


def hh_rlhf(row: Row) -> Iterator[PairRow]:
    """hh-rlhf: two transcripts that share everything but their last answer."""
    prompt, chosen = transcript(text(row, "chosen"))
    other, rejected = transcript(text(row, "rejected"))
    if prompt != other:
        raise UnusableRow(Reason.SHAPE)
    yield PairRow(
        prompt=prompt,
        responses=(Response(text=chosen, rank=1), Response(text=rejected, rank=2)),
    )


ADAPTERS = tuple(
    Adapter(name=name, doc=doc, convert=convert, text_only=True)
    for name, doc, convert in (
        ("skywork-80k", "Skywork-Reward-Preference-80K v0.2", chat_pair),
        ("tulu-3", "Tulu 3 preference mixes, ODC-BY", chat_pair),
        ("olmo-2", "OLMo 2 preference mix, 378,341 pairs", chat_pair),
        ("ultrafeedback-binarized", "UltraFeedback-binarized, 61k pairs", chat_pair),
        ("ultrafeedback", "UltraFeedback, 4 ranked responses", ultrafeedback),
        ("ultrafeedback-pairs", "UltraFeedback, every pair", ultrafeedback_pairs),
        ("ultrafeedback-hard", "UltraFeedback, largest gaps", ultrafeedback_hard),
        ("shp", "Stanford Human Preferences, 348,718 pairs", shp),
        ("hh-rlhf", "Anthropic hh-rlhf transcripts, MIT", hh_rlhf),
    )
)
