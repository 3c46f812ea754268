"""Learning rates over a training."""

from __future__ import annotations

import pytest

from trainer.training.schedule import schedule_factor


def test_warm_up_rises_to_the_peak() -> None:
    rates = [schedule_factor(step, 10, "constant", 0.4) for step in range(6)]

    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_linear_and_cosine_fall_towards_zero_at_the_end() -> None:
    linear = [schedule_factor(step, 4, "linear", 0) for step in range(4)]
    cosine = [schedule_factor(step, 4, "cosine", 0) for step in range(4)]

    assert linear == pytest.approx([1.0, 0.75, 0.5, 0.25])
    assert cosine == pytest.approx([1.0, 0.853553, 0.5, 0.146447], abs=1e-6)


def test_a_training_that_only_warms_up_is_no_division_by_zero() -> None:
    assert schedule_factor(2, 3, "cosine", 1.0) == pytest.approx(0.75)
