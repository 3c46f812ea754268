"""A trial that ran out of memory is tried again in smaller bites: the same training."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.patches import apply_patch
from sweep.engine.decision_kinds import EndSweep
from sweep.engine.micro_batches import MOST_SHRINKS, shrunk, smaller_sizes
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import SweepState
from sweep.replay.working import SimulatedClock
from tests.engine.scenarios import run_to_the_end, sweep_of
from tests.engine.simulation import SimulatedDriver
from trainer.config import TrainerConfig
from trainer.identity import active_settings


@given(batch=st.integers(1, 512), workers=st.integers(1, 8), micro=st.integers(0, 64))
def test_every_size_divides_and_is_at_most_half_the_one_before(
    batch: int, workers: int, micro: int
) -> None:
    share = batch
    size = micro if micro and share % micro == 0 else None
    config = apply_patch(
        TrainerConfig(),
        {
            "strategy.batch_pairs": share * workers,
            "machine.workers": workers,
            "machine.micro_batch_pairs": size,
        },
    )

    sizes = (size or share, *smaller_sizes(config))

    assert all(share % each == 0 for each in sizes)
    assert all(2 * after <= before for before, after in itertools.pairwise(sizes))
    assert sizes[-1] == 1 or len(sizes) == MOST_SHRINKS + 1
    for times in range(len(sizes)):
        smaller = shrunk(config, times)
        assert (smaller.machine.micro_batch_pairs or share) == sizes[times]
        assert active_settings(smaller) == active_settings(config)
        assert smaller.strategy.batch_pairs == config.strategy.batch_pairs


def test_where_tokens_are_counted_the_budget_is_halved() -> None:
    config = apply_patch(TrainerConfig(), {"machine.micro_batch_tokens": 4100})

    machine = shrunk(config, 2).machine

    assert smaller_sizes(config) == (2050, 1025, 512, 256)
    assert (machine.micro_batch_tokens, machine.micro_batch_pairs) == (1025, None)


@pytest.mark.parametrize("kind", ["out_of_memory", "bug"])
def test_running_out_of_memory_is_tried_again_smaller_and_a_bug_is_not(
    ledger: Ledger, clock: SimulatedClock, kind: str
) -> None:
    sweep = sweep_of(ledger, clock, 1, fails={0: kind})
    driver = SimulatedDriver(sweep)

    ended = run_to_the_end(driver)

    shrinks = [
        decision["shrinks"]
        for row in ledger.decisions(sweep.sweep_id)
        for decision in row.payload["decisions"]
        if decision["kind"] == "start_trial"
    ]
    assert shrinks == (list(range(MOST_SHRINKS + 1)) if kind == "out_of_memory" else [0])
    assert isinstance(ended, EndSweep)
    assert ended.state is SweepState.FAILED
