"""`python -m tests.benchmarks.judges`: do ensembles of real judges pay?

Two published sets of verdicts, which lie beside the repository in `../shared/data`: LLMBar
(language models as judges, 100 pairs x 65 judges and 566 pairs x 8) and PandaLM (three human
annotators, 999 pairs, two machine judges). Twenty times, half of the pairs is drawn at random;
members, settings and method are chosen on it and judged on the other half, against the best single
judge of the choosing half and against the plain mean of all judges. Ties count half: a judge that
contradicts itself when the responses are swapped has said nothing.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.ensembles.methods import METHODS, SINGLE
from analysis.ensembles.nested import cross_validate, fit_method, pick
from analysis.ensembles.panel import Panel, make_panel, outcomes
from analysis.statistics.components import Floats

DATA = Path(__file__).parents[3] / "shared" / "data"
REPEATS = 20
MEAN = "mean of all"


def llmbar(subsets: tuple[str, ...], judges: int) -> Panel:
    """Verdicts of the judges that saw all pairs of some subsets.

    A judge gives a response one vote for each order in which it names it, of -1 or 1.
    """
    folder = DATA / "llmbar"
    pairs = {
        pair["id"]: pair
        for pair in json.loads((folder / "pairs.json").read_text())
        if pair["subset"] in subsets
    }
    votes: dict[str, dict[str, float]] = {}
    with (folder / "judgements.csv").open() as lines:
        for row in csv.DictReader(lines):
            if row["id"] in pairs:
                winners = [row["winner_order_ab"], row["winner_order_ba"]]
                votes.setdefault(row["judge"], {})[row["id"]] = float(
                    winners.count("1") - winners.count("2")
                )
    full = {name: given for name, given in votes.items() if len(given) == len(pairs)}
    if len(full) != judges:
        raise SystemExit(f"expected {judges} judges of all pairs, found {len(full)}")
    labels = {name: int(pair["label"]) for name, pair in pairs.items()}
    categories = {name: str(pair["subset"]) for name, pair in pairs.items()}
    return _panel(full, labels, categories)


def pandalm(truth: str) -> Panel:
    """Annotators and machine judges.

    Args:
        truth: `majority`: the machine judges against the annotators' majority, its ties left out;
            `annotator3`: the other four against the third annotator.
    """
    folder = DATA / "pandalm"
    rows = json.loads((folder / "testset-v1.json").read_text())
    machines = {
        "GPT-3.5": ("gpt-3.5-turbo-testset-v1.json", "gpt_result"),
        "PandaLM-7B": ("pandalm-7b-testset-v1.json", "pandalm_result"),
    }
    votes: dict[str, dict[str, float]] = {}
    for name, (file, column) in machines.items():
        given = json.loads((folder / file).read_text())
        votes[name] = {str(row["idx"]): _vote(row[column]) for row in given}
    people = {
        f"annotator {n}": {str(row["idx"]): _vote(row[f"annotator{n}"]) for row in rows}
        for n in (1, 2, 3)
    }
    if truth == "annotator3":
        judged = people.pop("annotator 3")
        votes |= people
    else:
        judged = {
            name: float(np.sign(sum(np.sign(person[name]) for person in people.values())))
            for name in people["annotator 1"]
        }
    labels = {name: 1 if value > 0 else 2 for name, value in judged.items() if value != 0}
    categories = {str(row["idx"]): str(row["motivation_app"]) for row in rows}
    return _panel(votes, labels, categories)


def study(panel: Panel, repeats: int) -> dict[str, Floats]:
    """`(repeats,)` accuracies on the judging half, by method and for what `auto` picks."""
    found: dict[str, list[float]] = {}
    for repeat in range(repeats):
        generator = np.random.default_rng(repeat)
        chosen = np.zeros(panel.pairs, dtype=bool)
        chosen[generator.permutation(panel.pairs)[: panel.pairs // 2]] = True
        seen, unseen = panel.only(chosen), panel.only(~chosen)
        judged: dict[str, float] = {}
        for name, method in METHODS.items():
            fitted = fit_method(seen, method)
            if fitted is not None:
                judged[name] = _accuracy(unseen, unseen.combined(fitted.combiner))
        judged[MEAN] = _accuracy(unseen, unseen.margins(unseen.scores).mean(axis=0))
        judged["auto"] = judged[pick(cross_validate(seen, METHODS))]
        for name, value in judged.items():
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items() if len(values) == repeats}


def _accuracy(panel: Panel, margins: Floats) -> float:
    return float(outcomes(margins.round(12), panel.convention).mean())


def _vote(value: object) -> float:
    """1 for the first response, -1 for the second, 0 for a tie, under whatever name."""
    return {"1": 1.0, "2": -1.0}.get(str(value), 0.0)


def _panel(
    votes: Mapping[str, Mapping[str, float]],
    labels: Mapping[str, int],
    categories: Mapping[str, str],
) -> Panel:
    items = sorted(labels)
    frames = {}
    for name, given in votes.items():
        rows = [
            {
                "item_id": item,
                "response": response,
                "rank": 1 if labels[item] == response + 1 else 2,
                "score": given[item] * (1 - 2 * response) / 2,
                "group_id": item,
                "category": categories[item],
                "source": "judges",
                "modality": "text",
            }
            for item in items
            for response in (0, 1)
        ]
        frames[name] = pd.DataFrame(rows)
    return make_panel(frames, convention="ties count half")


def main() -> None:
    """Run the study and print Markdown tables; JSON with `--out`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=REPEATS)
    arguments.add_argument("--out", type=Path)
    given = arguments.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"the judges' verdicts are not at {DATA}")
    sets = {
        "LLMBar Natural, 65 judges": llmbar(("Natural",), 65),
        "LLMBar all subsets, 8 judges": llmbar(("Natural", "FairEval", "MT-Bench", "LLMEval2"), 8),
        "PandaLM, 2 machine judges against the annotators' majority": pandalm("majority"),
        "PandaLM, 2 annotators and 2 machine judges against annotator 3": pandalm("annotator3"),
    }
    report = {}
    for title, panel in sets.items():
        found = study(panel, given.repeats)
        alone, mean = found[SINGLE], found[MEAN]
        print(f"\n{title}: {panel.pairs} pairs\n")  # noqa: T201
        print("| method | accuracy | against best single | better / worse | against mean |")  # noqa: T201
        print("| --- | --- | --- | --- | --- |")  # noqa: T201
        for name, values in sorted(found.items(), key=lambda entry: -entry[1].mean()):
            gain, over = values - alone, values - mean
            print(  # noqa: T201
                f"| {name} | {100 * values.mean():.1f} | {100 * gain.mean():+.1f} "
                f"| {int((gain > 0).sum())} / {int((gain < 0).sum())} | {100 * over.mean():+.1f} |"
            )
        report[title] = {name: values.tolist() for name, values in found.items()}
    if given.out is not None:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
