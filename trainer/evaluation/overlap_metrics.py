"""What trials report of items that a benchmark shares with others, and what is said of it.

Knows no heavy package, for it is asked wherever metrics are shown.
"""

from __future__ import annotations

from collections.abc import Mapping

SHARED_WITH_TRAINING = "items_shared_with_training"
"""Items of a benchmark that came after training whose image, or prompt, was trained on."""
SHARED_WITH_VALIDATION = "items_shared_with_validation"
"""Items of a test benchmark whose image, or prompt without one, is in a validation benchmark."""


def overlaps(metrics: Mapping[str, float]) -> list[str]:
    """What a benchmark's items have in common with what was seen before, in words.

    Args:
        metrics: Of that benchmark, by their names alone.
    """
    said = []
    for name, what, effect in (
        (SHARED_WITH_TRAINING, "training items", "what was trained on them is flattered"),
        (SHARED_WITH_VALIDATION, "validation items", "what was selected on them is flattered"),
    ):
        count = metrics.get(name, 0.0)
        if count:
            said.append(
                f"{count:,.0f} items hold an image, or without one a prompt, of {what}: {effect}"
            )
    return said
