"""Words for a tracker's pages, as Markdown: what a sweep found, what a model is. No I/O.

Invariant: what came from a file or a trial is text here too: it ends no table, makes no link.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence

from sweep.records.lifecycle import TrialState
from sweep.records.rows import ArmRow, Json, Spent, SweepRow, TrialView
from trainer.record import TrialRecord

LISTED = 12
"""Arms a description names."""
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as a run's description."""
VERDICT = "sweep.verdict"
"""Tag of an arm's run."""
HOW_TO_LOOK = """\
Every sweep is a run, its arms are runs below it, their seeds below those.

| to see | search for |
| --- | --- |
| arms, each with the mean of its seeds | `tags."sweep.kind" = 'arm'` |
| single trainings | `tags."sweep.kind" = 'trial'` |
| one axis | `tags."sweep.axis" = 'head'` |
| what failed | `tags."sweep.state" = 'failed'` |
| arms a report tells apart | `tags."sweep.verdict" LIKE '%in general'` |

A sweep's page links to its arms, as a list and as charts. Params are the axes; all settings are in
`sweep.yaml` and `config.yaml`. `slices/...` is accuracy by category and source, and of how many
pairs; `by_progress/...` has a step per thousandth of a training, for arms whose trainings differ in
length; `train/...` and `eval/...` have optimizer steps. `eval/....std` is the spread between seeds.
What may be *claimed* stands in the report.
"""


def objective_name(sweep: SweepRow) -> str:
    """The metric a sweep selects by."""
    objective = sweep.spec_json.get("objective") or {}
    return f"eval/{objective.get('benchmark', 'validation')}/{objective.get('metric', 'accuracy')}"


def lowest_is_best(sweep: SweepRow) -> bool:
    """Whether a sweep selects by a metric of which less is better."""
    return (sweep.spec_json.get("objective") or {}).get("mode") == "min"


def ranked_arms(sweep: SweepRow, members: Mapping[str, Sequence[TrialView]]) -> list[str]:
    """Arms by their mean objective, best first; those with under half the fullest's seeds last."""
    name = objective_name(sweep)
    sign = -1 if lowest_is_best(sweep) else 1
    values = {arm: _values(trials, name) for arm, trials in members.items()}
    measured = {arm: each for arm, each in values.items() if each}
    fullest = max((len(each) for each in measured.values()), default=0)
    return sorted(
        measured,
        key=lambda arm: (2 * len(measured[arm]) < fullest, -sign * statistics.fmean(measured[arm])),
    )


def verdict_tags(said: Json | None, benchmark: str) -> dict[str, str]:
    """What a report says of an arm: to search for, and as its description.

    Args:
        said: Of the arm, as the report's `verdicts.json` has it; none of the baseline.
        benchmark: Whose items it was judged on.
    """
    if said is None:
        return {VERDICT: "baseline", NOTE: f"the baseline on {plain(benchmark)}"}
    ends = said["interval"]
    within = f" ({_points(ends[0])} to {_points(ends[1])})" if ends else ""
    points = f"{_points(said['difference'])}{within}"
    return {
        VERDICT: str(said["verdict"]),
        "sweep.difference": points,
        NOTE: f"{points}: {said['verdict']}.\n\nOn {plain(benchmark)}: {plain(said['sentence'])}",
    }


def _points(difference: float) -> str:
    return f"{round(100 * difference, 1) + 0.0:+.1f}"  # adding nothing makes -0.0 a zero


def sweep_note(  # noqa: PLR0913 -- all optional ones by name
    sweep: SweepRow,
    members: Mapping[str, Sequence[TrialView]],
    spent: Spent,
    *,
    headline: str,
    files: Mapping[str, str],
    picture: str,
    page: Callable[[str], str],
    attached: int,
) -> str:
    """What stands on a sweep's page.

    Args:
        sweep: The sweep.
        members: Its trials by arm.
        spent: What it has used.
        headline: The report's answer; empty before there is one.
        files: Pages of its runs and attached files, by name.
        picture: Address of the report's plot of effects; empty where there is none.
        page: Page of an arm's run; empty where it has none.
        attached: Trials of a sweep up to which each gets its card and score tables attached.
    """
    parts = [f"**{plain(str(sweep.spec_json.get('question') or sweep.name))}**"]
    if headline:
        parts.append(plain(headline))
    if files:
        links = [f"[{plain(name)}]({url})" for name, url in files.items() if url]
        parts.append(" \N{MIDDLE DOT} ".join(links))
    if picture:
        parts.append(f"![Effects of every level against the baseline's]({picture})")
    parts.append(_arms(sweep, members, page))
    states: dict[str, int] = {}
    for trial in (trial for trials in members.values() for trial in trials):
        states[trial.state.value] = states.get(trial.state.value, 0) + 1
    total = sum(states.values())
    if total > attached:
        parts.append(
            f"Of {total:,} trials only those of the best arm get card, settings and score "
            f"tables attached, once the sweep is over (all do up to {attached:,} trials); the "
            "others keep theirs under `Files` below."
        )
    told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in states.items())
    parts.append(f"Trials: {told}. Devices: {spent.device_seconds / 3600:.2f} h.")
    parts.append(f"Again: `rmsweep resume {plain(sweep.sweep_id)}`; the report: ")
    parts[-1] += f"`rmsweep report {plain(sweep.sweep_id)}`. Files: `{plain(sweep.storage)}`."
    return "\n\n".join(filter(None, parts))


def model_card(sweep: SweepRow, arm: ArmRow, trial: TrialView, record: TrialRecord | None) -> str:
    """What a trained model is, for somebody who finds it."""
    levels = [f"| {plain(axis)} | {plain(level)} |" for axis, level in arm.point.items()]
    figures = [
        f"| {plain(name.removeprefix('eval/'))} | {value:.4f} |"
        for name, value in sorted(trial.metrics.items())
        if name.startswith("eval/")
    ]
    parts = [
        f"# {plain(arm.name)}, seed {trial.seed}",
        f"A reward model of the sweep `{plain(sweep.sweep_id)}`: "
        f"{plain(str(sweep.spec_json.get('question') or sweep.name))}",
        "\n".join(["| axis | level |", "| --- | --- |", *levels]) if levels else "",
        "\n".join(["| measured | |", "| --- | ---: |", *figures]) if figures else "",
        f"One training with one seed: what another would give is on the arm's page. Items of "
        f"`{plain(objective_name(sweep))}` chose between arms; only the others may be reported.",
        _origin(trial, record),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def plain(text: str) -> str:
    """Text as Markdown shows it, on one line."""
    line = " ".join(text.split())[:500]
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def _arms(
    sweep: SweepRow, members: Mapping[str, Sequence[TrialView]], page: Callable[[str], str]
) -> str:
    name = objective_name(sweep)
    ranked = ranked_arms(sweep, members)
    rows = []
    for arm in ranked[:LISTED]:
        values = _values(members[arm], name)
        spread = f"\N{PLUS-MINUS SIGN} {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        url = page(arm)
        shown = f"[{plain(arm)}]({url})" if url else plain(arm)
        rows.append(f"| {shown} | {statistics.fmean(values):.4f} {spread} | {len(values)} |")
    if not rows:
        return ""
    more = len(ranked) - LISTED
    head = [f"| arm | `{plain(name)}` (mean, SD) | seeds |", "| --- | --- | ---: |"]
    return "\n".join([*head, *rows]) + (f"\n\n{more} more arms." if more > 0 else "")


def _values(trials: Sequence[TrialView], name: str) -> list[float]:
    done = [trial for trial in trials if trial.state is TrialState.SUCCEEDED]
    return [trial.metrics[name] for trial in done if name in trial.metrics]


def _origin(trial: TrialView, record: TrialRecord | None) -> str:
    rows: dict[str, str] = {
        "identity": trial.identity,
        "model": trial.model_digest or "",
        "weights": ""
        if trial.storage is None
        else f"{trial.storage.rstrip('/')}/trials/{trial.identity}/model",
        "device-hours": f"{trial.device_seconds / 3600:.3f}",
    }
    if record is not None and record.attempts:
        source = record.attempts[-1].provenance
        rows |= {
            "commit": (source.commit or "")
            + (" with local changes" if source.dirty_sha256 else ""),
            "python": source.python,
            **{f"data: {name}": digest for name, digest in record.data_digests.items()},
        }
    lines = [f"| {plain(name)} | `{plain(text)}` |" for name, text in rows.items() if text]
    return "\n".join(["| where it is from | |", "| --- | --- |", *lines])
