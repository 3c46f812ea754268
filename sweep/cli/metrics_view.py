"""Metrics of trials and evaluations on the terminal and in JSON: figures beside what is trivial.

Invariant: a suite's figures on fewer items than were published never stand without saying so.
"""

from __future__ import annotations

from collections.abc import Mapping

from sweep.cli.console import number_text, out, print_warning
from trainer.evaluation.published_items import shortfall

BASELINE_HEADS = ("longer", "first", "text only")
"""Always the longer response, always the one given first, this model without the right images."""


def evaluation_lines(metrics: Mapping[str, float]) -> list[tuple[str, ...]]:
    """What is shown of an evaluation: its headlines, each beside what needs no picture or no model.

    Returns:
        Of every headline its name, its value, and the baselines' in the order of `BASELINE_HEADS`;
        a dash where there is none, as of the text alone where there are no images.
    """
    headlines = [
        name.removeprefix("baseline_longer_")
        for name in metrics
        if name.startswith("baseline_longer_")
    ]
    lines = []
    for name in headlines or ["accuracy"]:
        suffix = "" if name == "accuracy" else f"_{name}"
        named = (name, *(f"baseline_{rule}{suffix}" for rule in ("longer", "first", "text_only")))
        lines.append((name, *(number_text(metrics.get(each)) for each in named)))
    return lines


def print_metrics(metrics: Mapping[str, float]) -> None:
    """A trial's metrics, a line each, and what they cannot be compared with."""
    for name, value in sorted(metrics.items()):
        out.print(f"  {name:<44} {value:.5g}")
    for benchmark, said in incomplete(metrics).items():
        print_warning(f"{benchmark}: {said}")


def incomplete(metrics: Mapping[str, float]) -> dict[str, str]:
    """Of a trial's metrics, what keeps a benchmark's from being compared with published ones."""
    end = "/published_items"
    prefixes = sorted(name.removesuffix(end) for name in metrics if name.endswith(end))
    found = {prefix: shortfall(metrics, f"{prefix}/") for prefix in prefixes}
    return {prefix.removeprefix("eval/"): said for prefix, said in found.items() if said}
