"""When the seeds say enough: what a stage adopts, and whom a race leaves behind."""

from __future__ import annotations

import numpy as np

from sweep.engine.growing.racing import contenders
from sweep.engine.growing.staging import adopt


def test_a_race_never_sends_the_best_arm_away_more_often_than_agreed() -> None:
    generator = np.random.default_rng(1)
    lost = 0
    for _ in range(300):
        draws = generator.normal([0.0, -0.3, -0.3, -0.3], 1.0, size=(8, 4))
        out = any(
            "0" not in contenders(
                {str(arm): dict(enumerate(draws[:look, arm])) for arm in range(4)}, sign=1.0
            )
            for look in range(2, 9)
        )  # fmt: skip
        lost += out
    assert lost / 300 <= 0.06


def test_adopting_corrects_for_the_number_of_arms() -> None:
    reference = dict.fromkeys(range(3), 0.0)
    # p = 0.035 alone: supported as the only arm, not as one of ten.
    arm = {0: 0.6, 1: 1.0, 2: 1.4}
    others = {f"other {n}": {0: 0.1, 1: -0.1, 2: 0.0} for n in range(9)}

    def adopted(results: dict[str, dict[int, float]]) -> str | None:
        return adopt(results, reference="base", rule="supported", sign=1.0, alpha=0.06)

    assert adopted({"base": reference, "arm": arm}) == "arm"
    assert adopted({"base": reference, "arm": arm, **others}) is None
    assert adopted({"arm": arm}) is None


def test_equal_differences_are_no_proof_however_far_from_zero() -> None:
    base = {0: 0.6, 1: 0.7, 2: 0.8}
    shifted = {seed: value + 0.1 for seed, value in base.items()}  # alike but for rounding

    def adopted(seeds: int, alpha: float) -> str | None:
        measured = {
            name: {seed: values[seed] for seed in range(seeds)}
            for name, values in (("base", base), ("arm", shifted))
        }
        return adopt(measured, reference="base", rule="supported", sign=1.0, alpha=alpha)

    assert adopted(2, 0.05) is adopted(3, 0.05) is None
    assert adopted(3, 0.25) == "arm"
    assert contenders({"base": base, "arm": shifted}, sign=1.0) == ["base", "arm"]
    many = {seed: 0.5 for seed in range(6)}
    more = dict.fromkeys(many, 0.6)
    assert contenders({"base": many, "arm": more}, sign=1.0) == ["arm"]


def test_a_spread_below_one_item_is_none() -> None:
    # Of 100 items: ahead by six, six, six and seven; the spread is that of one item.
    base = dict.fromkeys(range(4), 0.60)
    arm = {0: 0.66, 1: 0.66, 2: 0.66, 3: 0.67}

    def adopted(item: float) -> str | None:
        return adopt(
            {"base": base, "arm": arm}, reference="base", rule="supported", sign=1.0, alpha=0.05,
            item=item,
        )  # fmt: skip

    assert adopted(0.0) == "arm"
    assert adopted(0.01) is None
    assert contenders({"base": base, "arm": arm}, sign=1.0) == ["arm"]
    assert contenders({"base": base, "arm": arm}, sign=1.0, item=0.01) == ["base", "arm"]
    # Seven seeds of one sign are evidence of themselves; and what is spread by more is tested.
    many = {seed: 0.66 + 0.01 * (seed % 2) for seed in range(7)}
    results = {"base": dict.fromkeys(many, 0.60), "arm": many}
    assert contenders(results, sign=1.0, item=0.01) == ["arm"]
