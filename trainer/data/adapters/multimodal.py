"""Preference sets about images: MM-RLHF, VLFeedback, POVID, RLAIF-V, MMPR, MMIF, OmniAlign-V."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.data.adapters.adapter import Adapter, Row
from trainer.data.adapters.cells import (
    answer,
    as_rows,
    asked,
    by_score,
    images,
    number,
    pair,
    text,
    without_placeholders,
)
from trainer.data.pair_rows import PairRow, Reason, UnusableRow

_ASPECTS = ("Helpfulness", "Visual Faithfulness", "Ethical Considerations")


def mm_rlhf(row: Row) -> Iterator[PairRow]:
    """`dpo_pairs.jsonl`: prompt, chosen, rejected, image or video, id, and the annotator's reasons.

    The reasons are critiques. Rows about videos are left out: the trainer reads images.
    """
    if not row.get("image"):
        raise UnusableRow(Reason.VIDEO if row.get("video") else Reason.SHAPE)
    name = str(row.get("id") or "")
    yield pair(
        text(row, "prompt"),
        text(row, "chosen"),
        text(row, "rejected"),
        critiques=(str(row.get("chosen_reason") or ""), str(row.get("rejected_reason") or "")),
        shown=images(row, "image"),
        group=name or None,
    )


def vlfeedback(row: Row) -> Iterator[PairRow]:
    """VLFeedback: four responses with a rating from 1 to 5 in three aspects, ranked by their sum.

    A response without all three ratings is left out of its row.
    """
    texts, scores = _rated(row)
    shown = images(row, "image", "images", "img_path")
    yield PairRow(
        prompt=without_placeholders(text(row, "prompt"), len(shown)),
        responses=by_score(texts, scores),
        images=shown,
    )


def _rated(row: Row) -> tuple[list[str], list[float]]:
    texts: list[str] = []
    scores: list[float] = []
    for completion in as_rows(row["completions"]):
        words = completion.get("response")
        try:
            ratings = completion["annotations"]
            score = sum(number(ratings[aspect]["Rating"]) for aspect in _ASPECTS)
        except (UnusableRow, KeyError, TypeError):
            continue
        if isinstance(words, str) and words.strip() and words not in texts:
            texts.append(words)
            scores.append(score)
    if len(texts) < 2:
        raise UnusableRow(Reason.RATING)
    return texts, scores


def povid(row: Row) -> Iterator[PairRow]:
    """POVID: a conversation, and the same one with a hallucinated last answer."""
    chosen, rejected = as_rows(row["conversations"]), as_rows(row["rejected_conversations"])
    yield pair(
        asked(row, chosen, "conversations"),
        answer(chosen),
        answer(rejected),
        shown=images(row, "image", "images"),
    )


def rlaif_v(row: Row) -> Iterator[PairRow]:
    """RLAIF-V-Dataset (83,132 rows); the category is the set its question was taken from."""
    yield pair(
        text(row, "question"),
        text(row, "chosen"),
        text(row, "rejected"),
        shown=images(row, "image", "image_path"),
        category=str(row.get("origin_dataset") or row.get("ds_name") or ""),
    )


def question_pair(row: Row) -> Iterator[PairRow]:
    """Rows that say question, chosen, rejected and image in one of the usual ways.

    The prompt is `question`, `prompt`, `query`, `instruction` or the conversation; the answers are
    text, a message, or a chat that ends with the answer.
    """
    chosen = row["chosen"]
    yield pair(
        asked(
            row, chosen, "question", "prompt", "query", "instruction", "conversations", "messages"
        ),
        answer(chosen),
        answer(row["rejected"]),
        shown=images(row, "image", "images", "image_path"),
        category=str(row.get("category") or row.get("type") or ""),
    )


ADAPTERS = (
    Adapter(name="mm-rlhf", doc="MM-RLHF dpo_pairs, human, with reasons", convert=mm_rlhf),
    Adapter(
        name="vlfeedback",
        doc="VLFeedback, 80,258 rows of 4 responses by GPT-4V",
        convert=vlfeedback,
    ),
    Adapter(name="povid", doc="POVID, 17,184 hallucination pairs, CC-BY-4.0", convert=povid),
    Adapter(name="rlaif-v", doc="RLAIF-V, 83,132 pairs, CC-BY-NC-4.0", convert=rlaif_v),
    Adapter(name="mmpr", doc="MMPR v1.2 annotations, 2M pairs, MIT", convert=question_pair),
    Adapter(name="mmif", doc="MMIF-23k, 22k instruction-following pairs", convert=question_pair),
    Adapter(name="omnialign-v-dpo", doc="OmniAlign-V-DPO, 133k pairs", convert=question_pair),
)
