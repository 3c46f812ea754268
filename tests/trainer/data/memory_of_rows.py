"""What a source of published rows with images in them adds to a process, in bytes.

    python -m tests.trainer.data.memory_of_rows WARM_UP FILE

The first file warms up what does not grow with rows. Of the second is told what building its index
adds to the peak, and what all its items, held, then add in anonymous memory: pages of the mapped
index are the kernel's to take back.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from unittest.mock import patch

from trainer.config import DataConfig
from trainer.data import item_index
from trainer.data.mixture import training_items


def status(name: str) -> int:
    """Bytes of this process, by one name of its status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def measured(path: str) -> dict[str, int]:
    """Build the index of a file, and hold what it gives."""
    settings = {"path": path, "images": "trust"}
    config = DataConfig.model_validate(
        {
            "weights": {"rows": 1},
            "sources": {"rows": {"kind": "rlaif-v", "settings": settings}},
            "pairs": 10**6,
        }
    )
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # starts the high-water mark anew
    peak, kept = status("VmHWM"), status("RssAnon")
    items = training_items(config)
    told = {"built": status("VmHWM") - peak}
    held = [items[place].images for place in range(Path(path).stat().st_size // 10_000)]
    gc.collect()
    return told | {"held": status("RssAnon") - kept, "images": len(held)}


if __name__ == "__main__":
    with patch.object(item_index, "IN_MEMORY_BYTES", 2**20):
        measured(sys.argv[1])
        sys.stdout.write(json.dumps(measured(sys.argv[2])) + "\n")
