"""Panels whose truth is known, and any panel at all."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis.ensembles.panel import Panel
from analysis.statistics.components import Floats
from trainer.members.member_scores import Responses


def panel_of(
    scores: Floats, *, groups: list[int] | None = None, kinds: list[str] | None = None
) -> Panel:
    """A panel of two-response items from `(M, 2 P)` scores, the better response first."""
    members, count = scores.shape
    pairs = count // 2
    labels = np.array(kinds or ["all"] * pairs, dtype=object).repeat(2)
    text = np.full(count, "text", dtype=object)
    numbers = np.arange(pairs) if groups is None else np.array(groups)
    return Panel(
        names=tuple(f"m{row}" for row in range(members)),
        scores=scores,
        responses=Responses(
            items=np.arange(pairs).repeat(2), modality=text, category=labels, source=text
        ),
        chosen=np.arange(pairs) * 2,
        rejected=np.arange(pairs) * 2 + 1,
        groups=numbers,
        group_names=tuple(map(str, range(int(numbers.max()) + 1))),
    )


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    """Few members and pairs, with ties, equal members and members that score all alike."""
    members, pairs = draw(st.integers(1, 6)), draw(st.integers(2, 24))
    values = st.one_of(st.floats(-3, 3, width=32), st.sampled_from([-1.0, 0.0, 0.1, 1.0]))
    scores = draw(arrays(np.float64, (members, 2 * pairs), elements=values))
    groups = draw(st.lists(st.integers(0, 6), min_size=pairs, max_size=pairs))
    kinds = draw(st.lists(st.sampled_from(["a", "b"]), min_size=pairs, max_size=pairs))
    return panel_of(scores, groups=groups, kinds=kinds)


@st.composite
def tied_panels(draw: st.DrawFn) -> Panel:
    """Members that give both responses of a pair one score, everywhere or by pair."""
    members, pairs = draw(st.integers(1, 5)), draw(st.integers(2, 16))
    values = st.sampled_from([-1000.0, -1.0, 0.0, 0.1, 1.0, 1e6])
    rows = []
    for _ in range(members):
        constant = draw(st.booleans())
        per_pair = (
            np.full(pairs, draw(values))
            if constant
            else draw(arrays(np.float64, pairs, elements=values))
        )
        rows.append(per_pair.repeat(2))
    groups = draw(st.lists(st.integers(0, 4), min_size=pairs, max_size=pairs))
    return panel_of(np.array(rows), groups=groups)


def made_panel(
    noise: list[float], *, pairs: int = 400, seed: int = 0, scales: list[float] | None = None
) -> Panel:
    """Members that see one truth, each through independent noise of its own size."""
    generator = np.random.default_rng(seed)
    truth = np.stack([generator.normal(0.5, 1.0, pairs), np.zeros(pairs)], axis=1).ravel()
    units = scales or [1.0] * len(noise)
    scores = [
        unit * (truth + size * generator.normal(0, 1, 2 * pairs))
        for size, unit in zip(noise, units, strict=True)
    ]
    kinds = [("a", "b")[pair % 2] for pair in range(pairs)]
    return panel_of(np.array(scores), groups=[pair // 2 for pair in range(pairs)], kinds=kinds)
