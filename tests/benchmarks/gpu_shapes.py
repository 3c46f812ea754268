"""Real models' widths and depths, and what devices can do at most."""

from __future__ import annotations

from collections.abc import Mapping

from tests.benchmarks.shapes import TINY, ModelShape

_VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
SHAPES: Mapping[str, ModelShape] = {
    "tiny": TINY,
    "3b": ModelShape(
        text={
            "vocab_size": 151_936,
            "hidden_size": 2048,
            "intermediate_size": 11_008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32_768,
            "tie_word_embeddings": True,
        },
        vision={**_VISION, "out_hidden_size": 2048},
        rotary=(16, 24, 24),
    ),
    "7b": ModelShape(
        text={
            "vocab_size": 152_064,
            "hidden_size": 3584,
            "intermediate_size": 18_944,
            "num_hidden_layers": 28,
            "num_attention_heads": 28,
            "num_key_value_heads": 4,
            "max_position_embeddings": 32_768,
            "tie_word_embeddings": False,
        },
        vision={**_VISION, "out_hidden_size": 3584},
        rotary=(16, 24, 24),
    ),
}
"""Of Qwen2.5-VL as published; the tiny one is what the other benchmarks train."""

LAYERS: Mapping[str, int] = {"7b": 14}
"""Language layers where all of them do not fit: 28 take 133 GB with their gradients and moments."""

PEAK_TFLOPS: Mapping[str, float] = {
    "H200": 989.4,
    "H100 PCIe": 756.5,
    "H100 NVL": 835.5,
    "H100": 989.4,
    "A100": 311.9,
}
"""Dense bf16, from the vendor's data sheets; the first that a device's name holds counts."""


def peak_of(device: str) -> float | None:
    """Dense bf16 TFLOP/s of a device by its name; none where it is not in the table."""
    return next((peak for name, peak in PEAK_TFLOPS.items() if name in device), None)
