"""The named backbones: shipped tiny ones and public ones by hub id, with their figures.

Figures (parameters, width, depth) are those of the published checkpoints and feed the cost model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["qwen-vl", "internvl", "llava-onevision", "smolvlm", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneEntry:
    """One named backbone and the figures its cost is estimated from."""

    family: str
    scale: str
    kind: Kind
    hub_id: str | None
    """Absent for shipped ones."""
    parameters: int
    """All of them, the vision tower included."""
    vision_parameters: int
    """Vision tower and projector; 0 for text-only models."""
    hidden_size: int
    layers: int
    """Width and depth of the language model."""
    mlp_size: int | None = None
    """Width of its MLPs inside; taken to be wide where it is not known."""
    folder: str | None = None
    """Where the files of one that an installed package brings lie."""

    @property
    def name(self) -> str:
        """Family and scale in one word."""
        return f"{self.family}/{self.scale}"


def _entry(
    family: str,
    scale: str,
    kind: Kind,
    hub_id: str | None,
    millions: tuple[float, float],
    shape: tuple[int, int, int],
) -> BackboneEntry:
    return BackboneEntry(
        family=family,
        scale=scale,
        kind=kind,
        hub_id=hub_id,
        parameters=round(millions[0] * 1e6),
        vision_parameters=round(millions[1] * 1e6),
        hidden_size=shape[0],
        layers=shape[1],
        mlp_size=shape[2],
    )


# family, scale, kind, hub id, (millions of parameters, of them vision), (hidden size, layers, MLP)
ENTRIES: tuple[BackboneEntry, ...] = (
    _entry("tiny-qwen2.5-vl", "xs", "qwen-vl", None, (0.376128, 0.191568), (80, 2, 160)),
    _entry("tiny-qwen2.5-vl", "s", "qwen-vl", None, (0.932624, 0.208016), (144, 3, 288)),
    _entry("tiny-internvl3", "xs", "internvl", None, (0.301264, 0.116704), (80, 2, 160)),
    _entry("tiny-internvl3", "s", "internvl", None, (0.87216, 0.147552), (144, 3, 288)),
    _entry("qwen2-vl", "2b", "qwen-vl", "Qwen/Qwen2-VL-2B-Instruct", (2209, 665), (1536, 28, 8960)),
    _entry(
        "qwen2-vl", "7b", "qwen-vl", "Qwen/Qwen2-VL-7B-Instruct", (8291, 675), (3584, 28, 18944)
    ),
    _entry(
        "qwen2-vl", "72b", "qwen-vl", "Qwen/Qwen2-VL-72B-Instruct", (73405, 699), (8192, 80, 29568)
    ),
    _entry(
        "qwen2.5-vl", "3b", "qwen-vl", "Qwen/Qwen2.5-VL-3B-Instruct", (3755, 669), (2048, 36, 11008)
    ),
    _entry(
        "qwen2.5-vl", "7b", "qwen-vl", "Qwen/Qwen2.5-VL-7B-Instruct", (8292, 676), (3584, 28, 18944)
    ),
    _entry(
        "qwen2.5-vl",
        "32b",
        "qwen-vl",
        "Qwen/Qwen2.5-VL-32B-Instruct",
        (33453, 689),
        (5120, 64, 27648),
    ),
    _entry(
        "qwen2.5-vl",
        "72b",
        "qwen-vl",
        "Qwen/Qwen2.5-VL-72B-Instruct",
        (73411, 705),
        (8192, 80, 29568),
    ),
    _entry("qwen3-vl", "2b", "qwen-vl", "Qwen/Qwen3-VL-2B-Instruct", (2128, 407), (2048, 28, 6144)),
    _entry("qwen3-vl", "4b", "qwen-vl", "Qwen/Qwen3-VL-4B-Instruct", (4438, 415), (2560, 36, 9728)),
    _entry(
        "qwen3-vl", "8b", "qwen-vl", "Qwen/Qwen3-VL-8B-Instruct", (8767, 576), (4096, 36, 12288)
    ),
    _entry(
        "qwen3-vl", "32b", "qwen-vl", "Qwen/Qwen3-VL-32B-Instruct", (33357, 595), (5120, 64, 25600)
    ),
    _entry("internvl3", "1b", "internvl", "OpenGVLab/InternVL3-1B-hf", (938, 308), (896, 24, 4864)),
    _entry(
        "internvl3", "2b", "internvl", "OpenGVLab/InternVL3-2B-hf", (2089, 313), (1536, 28, 8960)
    ),
    _entry(
        "internvl3", "8b", "internvl", "OpenGVLab/InternVL3-8B-hf", (7944, 332), (3584, 28, 18944)
    ),
    _entry(
        "internvl3",
        "14b",
        "internvl",
        "OpenGVLab/InternVL3-14B-hf",
        (15119, 351),
        (5120, 48, 13824),
    ),
    _entry(
        "internvl3",
        "38b",
        "internvl",
        "OpenGVLab/InternVL3-38B-hf",
        (38388, 5624),
        (5120, 64, 27648),
    ),
    _entry(
        "internvl3",
        "78b",
        "internvl",
        "OpenGVLab/InternVL3-78B-hf",
        (78409, 5712),
        (8192, 80, 29568),
    ),
    _entry(
        "llava-onevision",
        "0.5b",
        "llava-onevision",
        "llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        (894, 400),
        (896, 24, 4864),
    ),
    _entry(
        "llava-onevision",
        "7b",
        "llava-onevision",
        "llava-hf/llava-onevision-qwen2-7b-ov-hf",
        (8031, 415),
        (3584, 28, 18944),
    ),
    _entry(
        "llava-onevision",
        "72b",
        "llava-onevision",
        "llava-hf/llava-onevision-qwen2-72b-ov-hf",
        (73200, 480),
        (8192, 80, 29568),
    ),
    _entry(
        "smolvlm2",
        "256m",
        "smolvlm",
        "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        (256, 100),
        (576, 30, 1536),
    ),
    _entry(
        "smolvlm2",
        "500m",
        "smolvlm",
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        (507, 105),
        (960, 32, 2560),
    ),
    _entry(
        "smolvlm2",
        "2.2b",
        "smolvlm",
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        (2246, 434),
        (2048, 24, 8192),
    ),
    _entry(
        "smollm2", "135m", "text", "HuggingFaceTB/SmolLM2-135M-Instruct", (135, 0), (576, 30, 1536)
    ),
    _entry(
        "smollm2", "360m", "text", "HuggingFaceTB/SmolLM2-360M-Instruct", (362, 0), (960, 32, 2560)
    ),
    _entry(
        "smollm2",
        "1.7b",
        "text",
        "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        (1711, 0),
        (2048, 24, 8192),
    ),
    _entry("qwen2.5", "0.5b", "text", "Qwen/Qwen2.5-0.5B-Instruct", (494, 0), (896, 24, 4864)),
    _entry("qwen2.5", "1.5b", "text", "Qwen/Qwen2.5-1.5B-Instruct", (1544, 0), (1536, 28, 8960)),
    _entry("qwen2.5", "3b", "text", "Qwen/Qwen2.5-3B-Instruct", (3086, 0), (2048, 36, 11008)),
    _entry("qwen2.5", "7b", "text", "Qwen/Qwen2.5-7B-Instruct", (7616, 0), (3584, 28, 18944)),
    _entry("qwen2.5", "14b", "text", "Qwen/Qwen2.5-14B-Instruct", (14770, 0), (5120, 48, 13824)),
    _entry("qwen2.5", "32b", "text", "Qwen/Qwen2.5-32B-Instruct", (32764, 0), (5120, 64, 27648)),
    _entry("qwen3", "0.6b", "text", "Qwen/Qwen3-0.6B", (596, 0), (1024, 28, 3072)),
    _entry("qwen3", "1.7b", "text", "Qwen/Qwen3-1.7B", (1721, 0), (2048, 28, 6144)),
    _entry("qwen3", "4b", "text", "Qwen/Qwen3-4B", (4022, 0), (2560, 36, 9728)),
    _entry("qwen3", "8b", "text", "Qwen/Qwen3-8B", (8191, 0), (4096, 36, 12288)),
    _entry("qwen3", "14b", "text", "Qwen/Qwen3-14B", (14768, 0), (5120, 40, 17408)),
    _entry("qwen3", "32b", "text", "Qwen/Qwen3-32B", (32762, 0), (5120, 64, 25600)),
)
