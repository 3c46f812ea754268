"""What test items have in common with what models saw before, and on what items others report.

By content (images, and prompts without one) it is counted where items are at hand, in training and
in `rmsweep evaluate`; of score tables alone, names are all there is. Invariant: what was not
compared is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from analysis.alignment import Margins
from analysis.tables import SweepTables
from trainer.evaluation.overlap_metrics import (
    SHARED_WITH_TRAINING,
    SHARED_WITH_VALIDATION,
    overlaps,
)
from trainer.evaluation.published_items import shortfall


def leaks(tables: SweepTables, test: Margins, validation: Margins) -> list[str]:
    """Test items that models were trained on or chosen by, in words.

    Equal groups are refused before, so what is shared is under groups of other names.
    """
    said = Counter(
        each
        for trial in tables.succeeded()
        for each in overlaps(tables.score_tables.told(trial, test.benchmark))
    )
    trials = len(tables.succeeded())
    found = [
        f"{test.benchmark}, in {count} of {trials} trials: {each}" for each, count in said.items()
    ]
    shared = set(test.pairs["item_id"]) & set(validation.pairs["item_id"])
    if shared:
        found.append(
            f"{len(shared)} items, such as {min(shared)}, are named alike in "
            f"{validation.benchmark} and {test.benchmark}, under other groups: if they are the "
            "same items, what was selected on them is flattered; give them one group_id"
        )
    return found


def compared(tables: SweepTables, test: Margins, validation: Margins) -> str:
    """What leaks were looked for in, and what was not looked at, in words."""
    return " ".join(
        [
            _names(test, validation),
            *_content(tables, test.benchmark),
            _near(tables),
        ]
    )


def incomplete(tables: SweepTables, benchmark: str) -> list[str]:
    """Suites of which not the published items were scored."""
    told = (tables.score_tables.told(trial, benchmark) for trial in tables.succeeded())
    return [f"{benchmark}: {each}" for each in sorted({shortfall(one) for one in told} - {""})]


def _names(test: Margins, validation: Margins) -> str:
    if not len(validation.pairs):
        return "No validation item has a score, so none was compared with test items."
    return (
        f"Names of the {validation.pairs['item_id'].nunique():,} items of {validation.benchmark} "
        f"were compared with those of the {test.pairs['item_id'].nunique():,} of "
        f"{test.benchmark}, as the arms below have them."
    )


def _content(tables: SweepTables, benchmark: str) -> list[str]:
    """By images and prompts: with training, with validation, and of how many trials neither."""
    refused = counted = chosen = 0
    trials = tables.succeeded()
    for trial in trials:
        told = tables.score_tables.told(trial, benchmark)
        later = SHARED_WITH_TRAINING in told
        counted += later
        refused += not later and benchmark in _defined(trial.config_json)
        chosen += SHARED_WITH_VALIDATION in told
    said = []
    if refused:
        said.append(
            f"{refused} of {len(trials)} trainings would have been refused, had they seen an "
            f"image, or a prompt without one, of {benchmark}."
        )
    if counted:
        said.append(
            f"{benchmark} came after {counted} of {len(trials)} trainings, and its images and "
            "prompts were compared with what they had seen."
        )
    if refused + counted < len(trials):
        said.append(
            f"What {len(trials) - refused - counted} of {len(trials)} trainings saw was not "
            f"compared with {benchmark}."
        )
    if chosen:
        said.append(
            f"Images and prompts of {benchmark} were compared with those of validation items in "
            f"{chosen} of {len(trials)} trials."
        )
    else:
        said.append(f"Images and prompts of {benchmark} were not compared with validation items.")
    return said


def _near(tables: SweepTables) -> str:
    """Whether training left out what is nearly the same as held-out items."""
    cleaned: Counter[str] = Counter()
    for trial in tables.succeeded():
        asked = trial.config_json.get("data", {}).get("decontaminate", {})
        if asked.get("near", True):
            cleaned.update(asked.get("against", ()))
    if not cleaned:
        return (
            "What is nearly the same was not looked for: sources named in "
            "data.decontaminate.against are kept out of training, and rmsweep data inspect counts."
        )
    told = ", ".join(f"{name} ({count} trials)" for name, count in sorted(cleaned.items()))
    return f"Training items that are nearly the same were left out for held-out items of {told}."


def _defined(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = config.get("evaluation", {}).get("benchmarks", {})
    return found
