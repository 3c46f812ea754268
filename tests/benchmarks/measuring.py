"""Interleaved process time: contestants take turns in one process, so that load hits them alike.

Process time of a single thread counts what was computed, not how long others held the core.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers


@dataclass(frozen=True, slots=True)
class Timing:
    """What one contestant's turns took, in seconds of process time."""

    seconds: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """The turn that others disturbed least."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The usual turn."""
        return statistics.median(self.seconds)


def interleave(
    contestants: Mapping[str, Callable[[], float | None]], *, rounds: int, warm_up: int = 1
) -> dict[str, Timing]:
    """Process time of each contestant's turns; in every round each has one turn, in rotated order.

    Args:
        contestants: What a turn does, by name; may return the time it took by its own count.
        rounds: Measured turns of each.
        warm_up: Rounds before that, which do not count.
    """
    names = list(contestants)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-warm_up, rounds):
        shift = number % len(names)
        for name in (*names[shift:], *names[:shift]):
            started = time.process_time()
            counted = contestants[name]()
            seconds = time.process_time() - started
            if number >= 0:
                taken[name].append(seconds if counted is None else counted)
    return {name: Timing(tuple(seconds)) for name, seconds in taken.items()}


def seconds_on(device: torch.device) -> float:
    """A clock: what this process computed, or on an accelerator the time when it is done."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "command": " ".join([Path(sys.executable).name, "-m", _module(), *sys.argv[1:]]),
    }


def report(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    out: Path | None,
    **facts: Any,  # noqa: ANN401
) -> None:
    """Print rows as a table and write them as JSON to `<out>/<name>.json`."""
    sys.stdout.write(f"{table(rows)}\n")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"machine": machine(), **facts, "rows": list(rows)}, indent=2)
        (out / f"{name}.json").write_text(text + "\n")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    lines = [columns, ["-" * width for width in widths], *cells]
    return "\n".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |"
        for line in lines
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return str(spec.name) if spec is not None else sys.argv[0]
