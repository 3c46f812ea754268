"""How many items the field's benchmarks have, and what is said of a result on others than those.

A published figure is of a published set: an item left out, as one about a video, is a pair nobody
had to judge. Knows no heavy package, for it is asked wherever metrics are shown.
"""

from __future__ import annotations

from collections.abc import Mapping

PUBLISHED_ITEMS: Mapping[str, tuple[int, ...]] = {
    "vl-rewardbench": (1250, 1247),  # the paper's, and the hub's of 2025
    "mm-rlhf-rewardbench": (170,),
    "multimodal-rewardbench": (4711,),  # released, of the 5,211 in the paper
    "rewardbench": (2985,),
    "rewardbench-2": (1865,),
    "rm-bench": (1327,),
    "judgebench": (350, 270, 620),  # pairs of GPT-4o, of Claude, both
}
"""Items that published figures are of; several where papers use several editions."""


def completeness(suite: str, items: int) -> dict[str, float]:
    """`items`, and where the suite's size is known `published_items`: the nearest edition's."""
    found = {"items": float(items)}
    sizes = PUBLISHED_ITEMS.get(suite, ())
    if sizes:
        found["published_items"] = float(min(sizes, key=lambda size: abs(size - items)))
    return found


def shortfall(metrics: Mapping[str, float], prefix: str = "") -> str:
    """What keeps a suite's metrics from being compared with published ones; empty if nothing does.

    Args:
        metrics: Of one benchmark, or of a trial.
        prefix: In front of the benchmark's names, such as `eval/vlrb/`.
    """
    held = metrics.get(f"{prefix}items")
    published = metrics.get(f"{prefix}published_items")
    if held is None or published is None or held == published:
        return ""
    count = f"{held:,.0f} of {published:,.0f} items"
    if held > published:
        count = f"{held:,.0f} items where {published:,.0f} are published"
    return f"{count}: not comparable with published figures"
