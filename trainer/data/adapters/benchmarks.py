"""The field's benchmarks as items: held out whole, ids and order of responses as published.

An item's category is the finest published subset, so that every grouping anyone prints can be
computed from the score table (`trainer.evaluation.field_metrics`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from trainer.data.adapters.adapter import Adapter, Row
from trainer.data.adapters.cells import (
    answer,
    as_rows,
    conversation,
    images,
    judged,
    number,
    pair,
    text,
    without_placeholders,
)
from trainer.data.items import Response
from trainer.data.pair_rows import PairRow, Reason, UnusableRow

_VL_SUBSETS = {
    "hallucination": "povid", "rlhf": "rlhf-v", "rlaif": "rlaif-v", "wildvision": "wildvision",
    "mathverse": "mathverse", "mmmu": "mmmu",
}  # fmt: skip
"""By the first word of an id; what is left, as `LRVInstruction-000000007746`, is VLFeedback's."""
_MM_RLHF_CATEGORIES = ("mcq", "long", "short", "safety", "video")
_JUDGEBENCH = (
    ("mmlu-pro", "knowledge"),
    ("livebench-reasoning", "reasoning"),
    ("livebench-math", "math"),
    ("livecodebench", "coding"),
)


def vl_rewardbench(row: Row) -> Iterator[PairRow]:
    """VL-RewardBench: `human_ranking` [0, 1] prefers the first response (arXiv 2411.17451).

    Subsets are told by ids as the authors' script tells them: `query_source` is where a question
    comes from, so that of RLAIF-V is COCO or TextVQA.
    """
    name = str(row["id"])
    first_word = re.split("[-_]", name.lower(), maxsplit=1)[0]
    shown = _with_image(row, "image", "images", "image_path")  # a path in the authors' own file
    ranking = [number(rank, Reason.RANKS) for rank in row["human_ranking"]]
    texts = [answer(words) for words in row["response"]]
    if len(ranking) != 2 or len(texts) != 2:
        raise UnusableRow(Reason.RANKS)
    yield judged(
        text(row, "query"),
        texts[0],
        texts[1],
        ranking[1] - ranking[0],
        shown=shown,
        row_id=name,
        category=_VL_SUBSETS.get(first_word, "vlfeedback"),
    )


def mm_rlhf_rewardbench(row: Row) -> Iterator[PairRow]:
    """MM-RLHF-RewardBench: pairs that share an id are one case of Acc+ (arXiv 2502.10391).

    The category is told by the path of the image; rows about videos are left out.
    """
    if not row.get("image"):
        raise UnusableRow(Reason.VIDEO if row.get("video") else Reason.SHAPE)
    path = row["image"] if isinstance(row["image"], str) else str(row.get("id"))
    yield pair(
        text(row, "prompt"),
        text(row, "chosen"),
        text(row, "rejected"),
        critiques=(str(row.get("chosen_reason") or ""), str(row.get("rejected_reason") or "")),
        shown=images(row, "image"),
        row_id=str(row["id"]),
        group=str(row["id"]),
        category=next((c for c in _MM_RLHF_CATEGORIES if c in path.lower()), "unknown"),
    )


def multimodal_rewardbench(row: Row) -> Iterator[PairRow]:
    """Multimodal RewardBench `all_data.json` (arXiv 2502.14191)."""
    better = {"Output1": 1, "Output2": -1}.get(str(row["Better"]).strip())
    if better is None:
        raise UnusableRow(Reason.NO_VERDICT)
    name = str(row["ID"])
    yield judged(
        text(row, "Text"),
        text(row, "Output1"),
        text(row, "Output2"),
        better,
        shown=_with_image(row, "Image", "image"),
        row_id=name,
        category=_mmrb_category(str(row["Category"]).lower(), name.lower()),
    )


def _mmrb_category(published: str, name: str) -> str:
    """As the official scorer splits: reasoning by what its ids start with, safety too."""
    leaf = published.rpartition("/")[2].removesuffix("_task")
    if leaf == "reasoning":
        return "math" if name.startswith("math") else "coding"
    if leaf == "safety":
        return "bias" if name.startswith("pairs") else "toxicity"
    return leaf


def rewardbench(row: Row) -> Iterator[PairRow]:
    """RewardBench 1: prompt, chosen, rejected, subset (arXiv 2403.13787)."""
    subset = text(row, "subset")
    yield pair(
        _words(row["prompt"]),
        answer(row["chosen"]),
        answer(row["rejected"]),
        row_id=f"{subset}/{row['id']}",
        category=subset,
    )


def rewardbench_2(row: Row) -> Iterator[PairRow]:
    """RewardBench 2: one right completion among four, or several right ones in `Ties`."""
    yield _right_and_wrong(row, row["chosen"], row["rejected"], text(row, "subset"))


def rm_bench(row: Row) -> Iterator[PairRow]:
    """RM-Bench: three styles of a right and a wrong answer (concise, detailed, with Markdown)."""
    if len(row["chosen"]) != 3 or len(row["rejected"]) != 3:
        raise UnusableRow(Reason.SHAPE)
    yield _right_and_wrong(row, row["chosen"], row["rejected"], text(row, "domain"))


def judgebench(row: Row) -> Iterator[PairRow]:
    """JudgeBench: a right and a wrong answer by one model (arXiv 2410.12784)."""
    label = {"A>B": 1, "B>A": -1}.get(str(row["label"]).replace(" ", ""))
    if label is None:
        raise UnusableRow(Reason.NO_VERDICT)
    source = text(row, "source")
    yield judged(
        text(row, "question"),
        text(row, "response_A"),
        text(row, "response_B"),
        label,
        row_id=str(row["pair_id"]),
        category=next((name for start, name in _JUDGEBENCH if source.startswith(start)), source),
    )


def _with_image(row: Row, *names: str) -> tuple[str | bytes, ...]:
    """The images of a row that cannot be judged without any."""
    shown = images(row, *names)
    if not shown:
        raise UnusableRow(Reason.MISSING_IMAGE)
    return shown


def _right_and_wrong(
    row: Row, right: Sequence[object], wrong: Sequence[object], category: str
) -> PairRow:
    return PairRow(
        prompt=without_placeholders(_words(row["prompt"]), 0),
        responses=(
            *(Response(text=answer(each), rank=1) for each in right),
            *(Response(text=answer(each), rank=2) for each in wrong),
        ),
        row_id=str(row["id"]),
        category=category,
    )


def _words(prompt: object) -> str:
    return prompt if isinstance(prompt, str) else conversation(as_rows(prompt))


ADAPTERS = (
    Adapter(
        name="vl-rewardbench",
        doc="VL-RewardBench, 1,250 pairs, MIT",
        convert=vl_rewardbench,
        version="2",
        benchmark=True,
    ),
    Adapter(
        name="mm-rlhf-rewardbench",
        doc="MM-RLHF-RewardBench, 170 pairs of 46 ids",
        convert=mm_rlhf_rewardbench,
        benchmark=True,
    ),
    Adapter(
        name="multimodal-rewardbench",
        doc="Multimodal RewardBench, 4,711 released pairs, CC-BY-NC",
        convert=multimodal_rewardbench,
        benchmark=True,
    ),
    Adapter(
        name="rewardbench",
        doc="RewardBench 1, 2,985 pairs, ODC-BY",
        convert=rewardbench,
        benchmark=True,
        text_only=True,
    ),
    Adapter(
        name="rewardbench-2",
        doc="RewardBench 2, 1,865 prompts, best of four",
        convert=rewardbench_2,
        benchmark=True,
        text_only=True,
    ),
    Adapter(
        name="rm-bench",
        doc="RM-Bench, three styles, ODC-BY",
        convert=rm_bench,
        benchmark=True,
        text_only=True,
    ),
    Adapter(
        name="judgebench",
        doc="JudgeBench, 620 pairs",
        convert=judgebench,
        benchmark=True,
        text_only=True,
    ),
)
