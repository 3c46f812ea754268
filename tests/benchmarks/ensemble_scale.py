"""`python -m tests.benchmarks.ensemble_scale`: greedy selection over a thousand members.

1,000 members x 10,000 items x 30 picks: ours, the same selection written down straightforwardly in
NumPy (which must pick the same members), and AutoGluon's `EnsembleSelection` where it is installed
(`pip install --no-deps autogluon.core autogluon.common autogluon.features`), with accuracy as its
metric and log-loss between equals, as ours; it averages probabilities, ours margins. They take
turns in one process, and processor time is counted, not what a busy machine makes of it. What each
picked is judged on as many items again that none of them saw.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from analysis.ensembles.greedy import ROUNDS, greedy_weights
from analysis.statistics.components import Floats

MEMBERS, ITEMS = 1000, 10_000


def made_margins(members: int, items: int, *, seed: int = 0) -> Floats:
    """`(M, P)` -- margins of members of unequal quality whose errors are half shared."""
    generator = np.random.default_rng(seed)
    difficulty = generator.normal(1.0, 1.0, items)
    quality = generator.uniform(0.5, 1.0, (members, 1))
    own = generator.normal(0.0, 1.0, (members, items))
    return np.asarray(quality * difficulty + own, dtype=np.float64)


def straightforward(margins: Floats, rounds: int = ROUNDS) -> Floats:
    """The same selection as one would write it down first: every candidate's ensemble, each pick.

    Ties in accuracy go to the lower log-loss, as ours; only where there are ties is it computed.
    """
    total, counts = np.zeros(margins.shape[1]), np.zeros(len(margins))
    best, kept = -1.0, counts
    for picked in range(1, rounds + 1):
        candidates = (total + margins) / picked
        right = (candidates > 0).mean(axis=1)
        equals = np.flatnonzero(right == right.max())
        losses = np.logaddexp(0.0, -candidates[equals]).mean(axis=1)
        following = equals[np.argmin(losses)]
        counts[following] += 1
        total = total + margins[following]
        if right[following] > best:
            best, kept = right[following], counts / picked
    return np.asarray(kept / kept.sum())


def autogluon_selection() -> Callable[[Floats], Floats] | None:
    """AutoGluon's selection, same metric, ties and number of picks; none if not installed."""
    try:
        from autogluon.core.metrics import accuracy
        from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection
    except ImportError:
        return None

    def select(margins: Floats) -> Floats:
        chances = 1 / (1 + np.exp(-margins))
        selection = EnsembleSelection(
            ensemble_size=ROUNDS,
            problem_type="binary",
            metric=accuracy,
            tie_breaker="second_metric",
        )
        selection.fit(list(chances), np.ones(margins.shape[1], dtype=np.int64))
        return np.asarray(selection.weights_)

    return select


def main() -> None:
    """Measure and print; JSON with `--out`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--members", type=int, default=MEMBERS)
    arguments.add_argument("--items", type=int, default=ITEMS)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("--out", type=Path)
    given = arguments.parse_args()
    made = made_margins(given.members, 2 * given.items)
    margins, unseen = np.ascontiguousarray(made[:, : given.items]), made[:, given.items :]
    contenders: dict[str, Callable[[Floats], Floats]] = {
        "ours": greedy_weights,
        "straightforward NumPy": straightforward,
    }
    library = autogluon_selection()
    if library is not None:
        contenders["AutoGluon EnsembleSelection"] = library
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    weights: dict[str, Floats] = {}
    for repeat in range(given.repeats):
        for name, select in contenders.items():
            if name.startswith("AutoGluon") and repeat:
                continue  # a minute or more; once is enough to see the order of magnitude
            begun = time.process_time()
            weights[name] = select(margins)
            seconds[name].append(time.process_time() - begun)
    rows = []
    for name, times in seconds.items():
        rows.append(
            {
                "selection": name,
                "seconds": statistics.median(times),
                "fastest": min(times),
                "times_ours": statistics.median(times) / statistics.median(seconds["ours"]),
                "accuracy": float((weights[name] @ margins > 0).mean()),
                "accuracy_unseen": float((weights[name] @ unseen > 0).mean()),
                "members": int((weights[name] > 0).sum()),
                "same_weights": bool(np.allclose(weights[name], weights["ours"])),
            }
        )
    print(f"{given.members} members x {given.items} items x {ROUNDS} picks")  # noqa: T201
    for row in rows:
        print(  # noqa: T201
            f"{row['selection']:<30} {row['seconds']:8.3f} s  {row['times_ours']:7.1f} x ours  "
            f"accuracy {row['accuracy']:.4f}, of unseen items {row['accuracy_unseen']:.4f}  "
            f"members {row['members']}  same weights: {row['same_weights']}"
        )
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps({"rows": rows, "seconds": seconds}, indent=2) + "\n")


if __name__ == "__main__":
    main()
