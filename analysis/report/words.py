"""Words of the report: the answer, what is not known, and how figures are written.

Invariant: every claim repeats its scope, and what is missing is said before it is asked.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

from markupsafe import Markup

from analysis.ablation import Ablation
from analysis.effects import Effect
from analysis.statistics.intervals import Accuracy
from analysis.statistics.paired import Interval, Scope
from analysis.statistics.resampling import Resampled
from analysis.statistics.verdicts import signed
from analysis.tables import SweepTables
from sweep.records.lifecycle import SweepState

FEW_SEEDS = 3


def answer(tables: SweepTables, ablation: Ablation) -> str:
    """The sweep's answer in one sentence, or why there is none."""
    measured = [arm for arm in ablation.arms if arm.accuracy is not None]
    total, finished = len(tables.trial_views), len(tables.succeeded())
    if not finished:
        return f"No answer: none of {total} trials has finished ({_endings(tables)})."
    if not ablation.benchmark:
        return "No answer: no test benchmark was scored, and validation items only select."
    if not measured:
        return f"No answer yet: no finished trial was scored on {ablation.benchmark}."
    if len(measured) == 1:
        only = measured[0]
        return (
            f"Nothing to compare: only {only.arm} has results, {accuracy_text(only.accuracy)} on "
            f"{ablation.benchmark}."
        )
    early = (
        f"Preliminary, {finished} of {total} trials finished: "
        if finished < total and (tables.sweep.state is SweepState.RUNNING)
        else ""
    )
    return early + _comparison_answer(ablation)


def verdict_glyph(effect: Effect) -> str:
    """A mark that tells verdicts apart without colour."""
    if effect.verdict is None:
        return "\N{EN DASH}"
    if effect.verdict.word == "not distinguishable":
        return "\N{ALMOST EQUAL TO}"
    general = effect.verdict.scope is Scope.GENERAL
    if effect.verdict.word == "better":
        return "\N{BLACK UP-POINTING TRIANGLE}" if general else "\N{WHITE UP-POINTING TRIANGLE}"
    return "\N{BLACK DOWN-POINTING TRIANGLE}" if general else "\N{WHITE DOWN-POINTING TRIANGLE}"


def unknowns(tables: SweepTables, ablation: Ablation) -> list[str]:
    """What this report cannot tell, most important first."""
    said = _missing_trials(tables, ablation)
    compared = [
        effect for axis in ablation.axes for effect in axis.levels if effect.comparison is not None
    ]
    seeds = [effect.comparison.seeds for effect in compared if effect.comparison]
    if seeds and min(seeds) == 1:
        said.append(
            "Some comparisons rest on one seed: they describe two trained models, and say nothing "
            "of how another training of the same recipe would turn out."
        )
    elif seeds and min(seeds) <= FEW_SEEDS:
        said.append(
            f"With {min(seeds)} seeds the spread between trainings is barely known; intervals "
            "for new seeds are wide for that reason, not because the items are few."
        )
    said += _seeds_not_paired(tables, ablation, compared)
    said += _fewer_pairs(compared)
    said += _undecided(compared)
    dropped = max((e.comparison.dropped_items for e in compared if e.comparison), default=0)
    if dropped:
        said.append(f"Up to {dropped:,} items were left out, as not every arm was scored on them.")
    if ablation.outcomes.tied > 0.005:
        said.append(
            f"{100 * ablation.outcomes.tied:.1f}% of the scored pairs are ties, which count as "
            f"{ablation.outcomes.convention.removeprefix('ties are ').removeprefix('ties count ')}."
        )
    if ablation.best is not None and len(ablation.arms) > 2:
        said.append(
            f"The best recipe was chosen among {len(ablation.arms)} arms on validation items; the "
            "luck of its seeds is part of why it was chosen, and is still in its test accuracy."
        )
    if len(ablation.outcomes.arms) > 1:
        sources = sorted({str(name) for name in ablation.outcomes.pairs["source"] if name})
        origin = f" (sources: {', '.join(sources)})" if sources else ""
        said.append(
            f"All differences are on {ablation.benchmark}{origin}; other data may rank the arms "
            "otherwise."
        )
    if len(ablation.outcomes.arms) == 1:
        said.append(
            "Whether any other recipe would do better or worse: there is one arm with results."
        )
    return said or ["Everything: there is no result."]


def accuracy_text(held: Accuracy | None) -> str:
    """`81.3% (79.0 to 83.6)`, or a dash."""
    if held is None:
        return "\N{EN DASH}"
    return f"{100 * held.value:.1f}% ({100 * held.low:.1f} to {100 * held.high:.1f})"


def points(value: float | None) -> str:
    """A difference of accuracies in percentage points, signed, with a true minus."""
    if value is None:
        return "\N{EN DASH}"
    return signed(value).replace("-", "\N{MINUS SIGN}")


def between(interval: Interval | Resampled | None) -> str:
    """`-1.6 to +5.7`, in points with true minuses; nothing where there is no interval."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{points(interval.low)} to {points(interval.high)}"


def typeset(text: str) -> str:
    """A sentence with true minus signs before numbers."""
    return re.sub(r"(?<![\w-])-(?=\d)", "\N{MINUS SIGN}", text)


def breakable(name: str) -> Markup:
    """A name, escaped, that may be broken after its punctuation."""
    parts = re.split(r"(?<=[=,+_/.])(?=[^\s\d])|(?<=[=,+_/])(?=\d)", name)
    return Markup("<wbr>").join(parts)


def brief(text: str, longest: int = 120) -> str:
    """A text, cut where it is longer than a page should show."""
    return text if len(text) <= longest else text[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def percent(value: float | None) -> str:
    """A share in percent with one digit."""
    return "\N{EN DASH}" if value is None else f"{100 * value:.1f}"


def p_value(value: float | None) -> str:
    """A p-value as papers write it."""
    if value is None:
        return "\N{EN DASH}"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def hours(seconds: float) -> str:
    """A duration: minutes below two hours, hours above."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def cost_unit(longest: float) -> tuple[float, str]:
    """Seconds of the unit, and its name, in which costs up to this many seconds are drawn."""
    if longest < 120:
        return 1.0, "device-seconds"
    return (60.0, "device-minutes") if longest < 7200 else (3600.0, "device-hours")


def moment(seconds: float | None) -> str:
    """A time in UTC."""
    if seconds is None:
        return "\N{EN DASH}"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _comparison_answer(ablation: Ablation) -> str:
    best = next((arm for arm in ablation.arms if arm.arm == ablation.best), None)
    if best is None or best.accuracy is None:
        return f"No arm can be chosen: the objective was not measured. {_worst_and_best(ablation)}"
    if best.against_baseline is None:
        return f"No arm does better than {best.arm} on validation. {_worst_and_best(ablation)}"
    return replace(best.against_baseline, name=f"{best.arm}, best on validation,").sentence


def _worst_and_best(ablation: Ablation) -> str:
    told_apart: dict[str, list[str]] = {}
    for arm in ablation.arms:
        effect = arm.against_baseline
        if effect is not None and effect.verdict is not None and effect.verdict.claims:
            told_apart.setdefault(effect.verdict.text, []).append(arm.arm)
    parts = [f"{text}: {', '.join(names)}" for text, names in told_apart.items()]
    if not parts:
        return f"On {ablation.benchmark} no arm is distinguishable from {ablation.baseline}."
    return f"On {ablation.benchmark}, against {ablation.baseline}, {'; '.join(parts)}."


def _missing_trials(tables: SweepTables, ablation: Ablation) -> list[str]:
    said = []
    unfinished = int(tables.arms["unfinished"].sum()) if len(tables.arms) else 0
    if unfinished:
        going = tables.sweep.state is SweepState.RUNNING
        said.append(
            f"{unfinished} of {len(tables.trial_views)} trials have not finished"
            + ("; everything here is preliminary." if going else "; the sweep ended before them.")
        )
    for arm in ablation.arms:
        failed = tables.count(arm.arm, "failed")
        early = tables.count(arm.arm, "stopped_early")
        if failed and arm.accuracy is not None:
            said.append(
                f"{failed} of {tables.count(arm.arm, 'trials')} trials of {arm.arm} failed; its "
                "accuracy is that of the survivors, which flatters it."
            )
        if early:
            said.append(
                f"{early} trials of {arm.arm} were stopped early; they are censored, not bad, and "
                "in no comparison."
            )
    return said


def _seeds_not_paired(tables: SweepTables, ablation: Ablation, compared: list[Effect]) -> list[str]:
    """That arms have unequal numbers of seeds, and what is made of it."""
    partly = [
        effect
        for effect in compared
        if effect.comparison is not None
        and any(
            len(ablation.outcomes.seeds(arm)) > effect.comparison.seeds
            for pair in effect.arm_pairs
            for arm in pair
        )
    ]
    if not partly:
        return []
    raced = tables.sweep.spec_json.get("replicates", {}).get("race", False)
    why = (
        " An arm that left the race has the seeds it had by then; it left on validation items, and "
        "its difference tends to look larger than it is."
        if raced
        else ""
    )
    return [
        f"Arms have unequal numbers of seeds: {len(partly)} of {len(compared)} comparisons rest "
        f"on the seeds that both sides have, not on all of either.{why}"
    ]


def _fewer_pairs(compared: list[Effect]) -> list[str]:
    """That a level's difference is not averaged over all arms of the design."""
    fewer = [effect for effect in compared if effect.left_out]
    if not fewer:
        return []
    return [
        f"{len(fewer)} of {len(compared)} comparisons leave out pairs of arms that the design has, "
        f"{fewer[0].left_out} of {fewer[0].left_out + len(fewer[0].arm_pairs)} for "
        f"{fewer[0].name}: their trials failed, were stopped early or share too few seeds. Where "
        "a scheduler stopped them, those that are left were kept for doing well."
    ]


def _undecided(compared: list[Effect]) -> list[str]:
    said = []
    for effect in compared:
        settled = effect.verdict is not None and effect.verdict.scope is Scope.GENERAL
        if effect.verdict is None or effect.advice is None or effect.comparison is None:
            continue
        if settled and effect.verdict.word != "not distinguishable":
            continue
        reach = _reach(effect.detectable) if effect.comparison.seeds > 1 else ""
        said.append(
            f"{effect.name} against {effect.reference}: {reach}{_lower(effect.advice.text)}"
        )
    return said


def _reach(detectable: float | None) -> str:
    if detectable is None:
        return ""
    if detectable >= 1:
        return "a sweep like this finds no difference, however large; "
    return f"a sweep like this finds differences from about {100 * detectable:.1f} points; "


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _endings(tables: SweepTables) -> str:
    counts: dict[str, int] = {}
    for view in tables.trial_views:
        kind = f", {view.error_kind.replace('_', ' ')}" if view.error_kind else ""
        name = f"{view.state.value.replace('_', ' ')}{kind}"
        counts[name] = counts.get(name, 0) + 1
    return "; ".join(f"{count} {name}" for name, count in counts.items()) or "no trials planned"
