"""Makes one shipped backbone: `python -m trainer.pretraining --family F --scale S --out DIR`.

The steps fix the result; the minutes only stop a slow machine, and what was learned until then is
kept.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from trainer.model.backbone import Backbone, read_backbone
from trainer.pretraining.architectures import FAMILIES, MODEL_TYPES, SCALES, random_backbone
from trainer.pretraining.language import train_language
from trainer.pretraining.measure import answering_accuracy, held_out_items
from trainer.pretraining.pace import Pace
from trainer.pretraining.pictures import corpus, digit_pictures, scene_pictures, text_dialogues
from trainer.pretraining.tokenizer import train_tokenizer
from trainer.pretraining.vision import train_vision

VOCABULARY_SIZE = 1024
TOKENIZER_SEED = 0  # the same tokenizer for every family, scale and seed


def main(arguments: list[str] | None = None) -> None:
    """Trains, saves and measures one backbone."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    started = time.monotonic()
    say = _narrator(started)
    tokenizer = train_tokenizer(
        corpus(TOKENIZER_SEED),
        vocabulary_size=VOCABULARY_SIZE,
        model_type=MODEL_TYPES[options.family],
    )
    backbone = random_backbone(
        options.family, options.scale, seed=options.seed, tokenizer=tokenizer
    )
    scenes = scene_pictures(options.scenes, seed=options.seed)
    digits = digit_pictures(copies=options.digit_copies, seed=options.seed)
    texts = text_dialogues(options.texts, seed=options.seed)
    say(f"{len(scenes)} scenes, {len(digits)} digits, {len(texts)} texts drawn")

    def keep() -> None:
        save_in_half(backbone, options.out)

    def pace(stage: str, steps: int) -> Pace:
        deadline = started + 60 * options.minutes
        return Pace(
            stage=stage, steps=steps, seed=options.seed, deadline=deadline, say=say, keep=keep
        )

    train_vision(backbone, scenes, digits, pace("vision", options.vision_steps))
    keep()
    train_language(backbone, scenes, digits, texts, pace("language", options.language_steps))
    keep()
    results = measure(read_backbone(options.out), options.held_out)
    say(json.dumps(results))


def measure(backbone: Backbone, count: int) -> dict[str, dict[str, float]]:
    """Answering accuracy by source, with true and with shuffled images."""
    results = {}
    for name, items in held_out_items(count, seed=1_000).items():
        results[name] = _rounded(answering_accuracy(backbone, items))
        if name != "text":
            shuffled = answering_accuracy(backbone, items, shuffle_images=True)
            results[f"{name}, images shuffled"] = _rounded(shuffled)
    return results


def save_in_half(backbone: Backbone, folder: Path) -> None:
    """Saves the weights as 16-bit floats; the backbone itself stays as it is."""
    backbone.save(folder)
    halves = {name: value.half() for name, value in backbone.module.state_dict().items()}
    backbone.module.save_pretrained(folder, state_dict=halves)


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in values.items()}


def _narrator(started: float) -> Callable[[str], None]:
    def say(line: str) -> None:
        sys.stdout.write(f"{time.monotonic() - started:6.0f} s  {line}\n")
        sys.stdout.flush()

    return say


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer.pretraining", description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, required=True)
    parser.add_argument("--scale", choices=sorted(SCALES), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--vision-steps", type=int, default=500)
    parser.add_argument("--language-steps", type=int, default=1800)
    parser.add_argument("--scenes", type=int, default=12_000)
    parser.add_argument("--digit-copies", type=int, default=6)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--held-out", type=int, default=600)
    return parser


if __name__ == "__main__":
    main()
