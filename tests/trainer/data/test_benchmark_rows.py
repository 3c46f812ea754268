"""The field's benchmarks as their authors publish them: ids, subsets, order, pictures."""

from __future__ import annotations

import pytest

from tests.trainer.data.published_rows import BENCHMARKS
from trainer.data.adapters.adapter import adapters, converted
from trainer.data.pair_rows import PairRow, Reason, UnusableRow


def rows_of(name: str, **changes: object) -> list[PairRow]:
    return converted(adapters()[name], {**BENCHMARKS[name], **changes})


def test_benchmarks_keep_ids_subsets_and_the_published_order() -> None:
    rows = {name: rows_of(name)[0] for name in BENCHMARKS}

    assert {name: row.category for name, row in rows.items()} == {
        "vl-rewardbench": "rlaif-v",
        "mm-rlhf-rewardbench": "long",
        "multimodal-rewardbench": "math",
        "rewardbench": "llmbar-natural",
        "rewardbench-2": "Focus",
        "rm-bench": "safety-refuse",
        "judgebench": "math",
    }
    assert rows["vl-rewardbench"].row_id == "RLAIF-V-12"
    assert [r.rank for r in rows["multimodal-rewardbench"].responses] == [2, 1]
    assert [r.text for r in rows["rm-bench"].responses][3:] == ["r0", "r1", "r2"]


def test_a_row_about_a_picture_is_refused_without_one_and_has_it_under_either_name() -> None:
    (named,) = rows_of("vl-rewardbench", image=None, image_path="images/povid/a.jpg")

    assert named.images == ("images/povid/a.jpg",)
    with pytest.raises(UnusableRow, match=Reason.MISSING_IMAGE):
        rows_of("vl-rewardbench", image=None)
    with pytest.raises(UnusableRow, match=Reason.MISSING_IMAGE):
        rows_of("multimodal-rewardbench", Image="")


# The authors' file: ids and `query_source` of one row of each folder its images lie in.
VL_ROWS = {
    ("LRVInstruction-000000007746", "LRVInstruction"): "vlfeedback",
    ("RLAIF-V-14", "COCO"): "rlaif-v",
    ("RLHF-V-1", "VQAv2"): "rlhf-v",
    ("hallucination_pair-7997", "POVID_preference_data_for_VLLMs"): "povid",
    ("wildvision-battle-1", None): "wildvision",
    ("mathverse_3693", None): "mathverse",
    ("mmmu_pro_test_Accounting_170", None): "mmmu",
}


def test_vl_rewardbench_s_subsets_are_told_by_ids_as_its_authors_tell_them() -> None:
    found = {
        (name, source): rows_of("vl-rewardbench", id=name, query_source=source)[0].category
        for name, source in VL_ROWS
    }

    assert found == VL_ROWS
