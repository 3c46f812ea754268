"""Row shapes of other trainers' files: LLaMA-Factory, ms-swift, YOJO (multi-response-rm)."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.data.adapters.adapter import Adapter, Row
from trainer.data.adapters.cells import (
    answer,
    as_rows,
    asked,
    images,
    number,
    pair,
    without_placeholders,
)
from trainer.data.items import Response
from trainer.data.pair_rows import PairRow, Reason, UnusableRow


def llama_factory(row: Row) -> Iterator[PairRow]:
    """LLaMA-Factory's ranking form: conversations, chosen, rejected, images."""
    yield pair(
        asked(row, None, "conversations", "messages", "instruction"),
        answer(row["chosen"]),
        answer(row["rejected"]),
        shown=images(row, "images", "image"),
    )


def ms_swift(row: Row) -> Iterator[PairRow]:
    """ms-swift's reward form: messages or query, response, rejected_response, images, margin."""
    chat = as_rows(row["messages"]) if row.get("messages") else None
    chosen = answer(chat) if chat else answer(row["response"])
    rejected = row.get("rejected_response")
    if rejected is None:
        rejected = row["rejected_messages"]
    margin = row.get("margin")
    yield pair(
        asked(row, chat, "query") if chat is None else asked({}, chat),
        chosen,
        answer(rejected),
        shown=images(row, "images", "image"),
        margin=None if margin is None else number(margin, Reason.MARGIN),
    )


def yojo(row: Row) -> Iterator[PairRow]:
    """YOJO's N-way form: prompt, responses, rankings (1 is best), image."""
    if row.get("video"):
        raise UnusableRow(Reason.VIDEO)
    texts, ranks = row["responses"], row["rankings"]
    if len(texts) != len(ranks):
        raise UnusableRow(Reason.RANKS)
    shown = images(row, "image", "images")
    values = [number(rank, Reason.RANKS) for rank in ranks]
    places = {rank: place for place, rank in enumerate(sorted(set(values)), 1)}
    yield PairRow(
        prompt=without_placeholders(asked(row, None, "prompt"), len(shown)),
        responses=tuple(
            Response(text=answer(words), rank=places[rank])
            for words, rank in zip(texts, values, strict=True)
        ),
        images=shown,
    )


ADAPTERS = (
    Adapter(name="llama-factory", doc="LLaMA-Factory ranking files", convert=llama_factory),
    Adapter(name="ms-swift", doc="ms-swift reward-model files", convert=ms_swift),
    Adapter(name="yojo", doc="multi-response-rm files, N-way", convert=yojo),
)
