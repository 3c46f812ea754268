"""How many bytes of tensors a computation holds at its peak, told by torch's own profiler."""

from __future__ import annotations

from collections.abc import Callable

from torch.profiler import ProfilerActivity, profile


def peak_bytes(compute: Callable[[], object]) -> int:
    """The most that was allocated at once above what stood before; freed and taken counts once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        compute()
    assert seen.profiler is not None
    events = seen.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return peak
