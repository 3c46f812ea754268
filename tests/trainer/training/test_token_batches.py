"""Micro batches by tokens: the budget is kept, nothing is lost, and the training stays the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.object_store import LocalStore
from tests.trainer.trials import Notebook, small_config
from trainer.config import MachineConfig
from trainer.gangs.ranks import run_trial
from trainer.prompting.examples import Extent
from trainer.training.token_batches import spread, token_batches

EXTENTS = st.lists(
    st.builds(
        lambda rows, longest, rest: Extent(
            rows=rows, longest=longest, tokens=longest + min(rest, (rows - 1) * longest)
        ),
        st.integers(1, 3),
        st.integers(1, 50),
        st.integers(0, 100),
    ),
    min_size=1,
    max_size=12,
)


@given(extents=EXTENTS, budget=st.integers(1, 120), padded=st.booleans(), data=st.data())
def test_no_batch_but_of_a_single_item_exceeds_the_budget_and_every_item_is_in_one(
    extents: list[Extent], budget: int, padded: bool, data: st.DataObject
) -> None:
    indices = data.draw(st.permutations(range(100, 100 + len(extents))))
    sized = dict(zip(indices, extents, strict=True))
    found = token_batches(indices, extents, budget=budget, padded=padded)
    count = data.draw(st.integers(len(found), len(extents)))

    for batches in (found, spread(found, count)):
        assert sorted(index for batch in batches for index in batch) == sorted(indices)
        for batch in batches:
            taken = sum(sized[index].tokens for index in batch)
            if padded:
                longest = max(sized[index].longest for index in batch)
                taken = longest * sum(sized[index].rows for index in batch)
            assert len(batch) == 1 or taken <= budget
    assert len(spread(found, count)) == count


def test_items_that_fit_together_are_together() -> None:
    extents = [Extent(rows=1, longest=size, tokens=size) for size in (10, 60, 40, 90)]

    assert token_batches([0, 1, 2, 3], extents, budget=100, padded=False) == [[3, 0], [1, 2]]
    assert token_batches([0, 1, 2, 3], extents, budget=120, padded=True) == [[3], [1, 2], [0]]


def test_an_item_that_a_step_holds_twice_is_in_its_batches_twice() -> None:
    extent = Extent(rows=1, longest=10, tokens=10)

    assert token_batches([3, 5, 3, 7], [extent] * 4, budget=20, padded=False) == [[3, 3], [5, 7]]


def test_pairs_and_tokens_are_not_both_counted() -> None:
    with pytest.raises(ValidationError, match="by pairs or by tokens, got micro_batch_pairs 4"):
        MachineConfig(micro_batch_pairs=4, micro_batch_tokens=100)


MIXED: dict[str, Any] = {
    "data": {"pairs": 40, "weights": {"scenes": 1.0, "text": 1.0}},
    "strategy": {
        "batch_pairs": 8,
        "learning_rate": 1e-3,
        "freeze": {"vision": False, "projector": False},
    },
    "evaluation": {
        "during": [0.4],
        "benchmarks": {"validation": {"parts": {"scenes": 6}}},
    },
}
"""Five steps of items of unlike lengths, images among them, and a checkpoint after the second."""


@pytest.fixture(scope="module")
def reference(backbone_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Notebook:
    """The same training on one rank, whole steps at once."""
    store = LocalStore(tmp_path_factory.mktemp("pairs"))
    notebook = Notebook()
    config = small_config(backbone_folder, **MIXED)
    run_trial(config, store_uri=store.uri, identity="t", reporter=notebook)
    return notebook


@pytest.mark.parametrize(
    "machine",
    [
        pytest.param({}, id="one rank"),
        pytest.param({"workers": 2}, id="two ranks"),
        pytest.param({"workers": 2, "zero_stage": 2}, id="two ranks at stage 2"),
        pytest.param({"workers": 2, "zero_stage": 3}, id="two ranks at stage 3"),
    ],
)
def test_counting_tokens_changes_no_gradient_and_resumes_bit_by_bit(
    machine: dict[str, Any], reference: Notebook, backbone_folder: Path, tmp_path: Path
) -> None:
    tokens, broken = LocalStore(tmp_path / "whole"), LocalStore(tmp_path / "broken")
    by_tokens = small_config(
        backbone_folder, machine={**machine, "micro_batch_tokens": 120}, **MIXED
    )
    counted, resumed = Notebook(), Notebook()
    stopped = Notebook(stop=lambda report: report.step == 3)

    run_trial(by_tokens, store_uri=tokens.uri, identity="t", reporter=counted)
    run_trial(by_tokens, store_uri=broken.uri, identity="t", reporter=stopped)
    checkpoints = [each.checkpoint for each in stopped.reports if each.checkpoint is not None]
    run_trial(
        by_tokens,
        store_uri=broken.uri,
        identity="t",
        reporter=resumed,
        resume_from=checkpoints[::-1],
    )

    for metric in ("train/loss", "train/gradient_norm"):
        assert counted.metric(metric) == pytest.approx(reference.metric(metric), rel=1e-3)
    # The first step starts from equal weights, so it tells of rounding alone.
    first = [
        each.metrics["train/gradient_norm"] for each in (reference.reports[0], counted.reports[0])
    ]
    assert first[1] == pytest.approx(first[0], rel=1e-5)
    assert resumed.metric("train/loss") == counted.metric("train/loss", [4, 5])
    weights = "trials/t/model/model.safetensors"
    assert broken.read(weights) == tokens.read(weights)
