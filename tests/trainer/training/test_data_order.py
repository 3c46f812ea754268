"""The order of the data: fixed by seed and step, whatever the ranks and micro batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem, Response
from trainer.training.data_order import DataOrder, micro_batches, training_order


@given(count=st.integers(1, 40), batch=st.integers(1, 17), seed=st.integers(0, 9), data=st.data())
def test_any_step_can_be_asked_for_first(
    count: int, batch: int, seed: int, data: st.DataObject
) -> None:
    steps = data.draw(st.permutations(range(8)))
    forward = DataOrder(count, batch=batch, seed=seed)
    expected = [forward.step(step) for step in range(8)]

    jumping = DataOrder(count, batch=batch, seed=seed)

    assert {step: jumping.step(step) for step in steps} == dict(enumerate(expected))


@given(count=st.integers(1, 40), batch=st.integers(1, 17), seed=st.integers(0, 9))
def test_every_pass_shows_every_item_once(count: int, batch: int, seed: int) -> None:
    order = DataOrder(count, batch=batch, seed=seed)
    stream = [index for step in range(3 * count) for index in order.step(step)]

    for start in range(0, 2 * count, count):
        assert sorted(stream[start : start + count]) == list(range(count))


@given(pairs=st.integers(1, 40), steps=st.integers(2, 12), halves=st.booleans())
def test_what_is_shown_is_what_some_step_sees(pairs: int, steps: int, halves: bool) -> None:
    items = [item_of(number, "even" if number % 2 == 0 else "odd") for number in range(pairs)]
    phases = [{"share": 0.5, "sources": ["even"]}, {"share": 0.5}] if halves else []
    config = TrainerConfig.model_validate(
        {
            "data": {"pairs": pairs, "weights": {"even": 1.0}, "sources": SOURCES},
            "strategy": {"batch_pairs": 3, "steps": steps, "phases": phases},
        }
    )
    order = training_order(config, items)

    expected = {index for step in range(steps) for index in order.step(step)}

    assert order.shown().tolist() == sorted(expected)


def test_what_is_shown_is_known_at_once_however_long_the_training() -> None:
    items = [item_of(number, "even") for number in range(50)]
    endless = TrainerConfig.model_validate({"strategy": {"steps": 10**12, "batch_pairs": 8}})

    assert training_order(endless, items).shown().tolist() == list(range(50))


SOURCES = {"even": {"kind": "text"}, "odd": {"kind": "text"}}


def item_of(number: int, source: str) -> PreferenceItem:
    responses = (Response(text="yes", rank=1), Response(text="no", rank=2))
    name = str(number)
    return PreferenceItem(
        item_id=name, group_id=name, prompt=name, responses=responses, source=source
    )


def test_another_seed_is_another_order() -> None:
    first, second = (DataOrder(100, batch=100, seed=seed).step(0) for seed in (0, 1))

    assert first != second


@given(
    micro=st.integers(2, 6),
    size=st.integers(1, 4),
    pieces=st.integers(1, 4),
    data=st.data(),
)
def test_rows_that_need_no_padding_are_dealt_by_work(
    micro: int, size: int, pieces: int, data: st.DataObject
) -> None:
    count = micro * pieces * size
    indices = data.draw(st.permutations(range(count)))
    lengths = data.draw(st.lists(st.integers(1, 99), min_size=count, max_size=count))
    work = dict(zip(indices, lengths, strict=True))

    shares = [
        micro_batches(indices, lengths, rank=rank, size=size, micro=micro, padded=False)
        for rank in range(size)
    ]

    chunks = [chunk for share in shares for chunk in share]
    assert sorted(index for chunk in chunks for index in chunk) == list(range(count))
    assert {len(chunk) for chunk in chunks} == {micro}
    totals = [sum(work[index] for index in chunk) for chunk in chunks]
    # No two micro batches differ by more than the longest item.
    assert max(totals) - min(totals) <= max(lengths)


@given(
    micro=st.integers(1, 4),
    pieces=st.integers(1, 4),
    size=st.integers(1, 4),
    data=st.data(),
)
def test_ranks_and_micro_batches_share_a_step_without_loss(
    micro: int, pieces: int, size: int, data: st.DataObject
) -> None:
    count = micro * pieces * size
    indices = data.draw(st.permutations(range(count)))
    lengths = data.draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))

    shares = [
        micro_batches(indices, lengths, rank=rank, size=size, micro=micro) for rank in range(size)
    ]

    assert all(len(share) == pieces for share in shares)
    assert all(len(chunk) == micro for share in shares for chunk in share)
    seen = [index for share in shares for chunk in share for index in chunk]
    assert sorted(seen) == list(range(count))


def test_items_of_like_length_come_together() -> None:
    chunks = micro_batches([0, 1, 2, 3], [9, 1, 8, 2], rank=0, size=1, micro=2)

    assert chunks == [[1, 3], [2, 0]]
