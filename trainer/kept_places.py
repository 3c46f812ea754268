"""Where in an object store lies what trials computed once and keep for the next ones.

Everything below is named by content and computed anew where it is missing.
"""

from __future__ import annotations

POOLED_STATES = "pooled-states/"
VISION_FEATURES = "vision-features/"
KEPT = (POOLED_STATES, VISION_FEATURES)
