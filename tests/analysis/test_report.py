"""The report: self-contained, escaped, and possible at any time in a sweep's life."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.ablation import ablate
from analysis.report.plots import accuracy_scale, effect_scale
from analysis.report.tables import arms_table, effects_table
from analysis.report.writing import ReportResult, write_report
from analysis.tables import read_sweep
from infra.errors import InputError, MissingError
from sweep.records.lifecycle import SweepState, TrialState
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis
from trainer.evaluation_config import BenchmarkConfig

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "br", "wbr", "img", "hr", "link", "input"}


class _Page(HTMLParser):
    """Text and ids of a page; complains of tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.count: Counter[str] = Counter()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("href", "src") and value]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def tags(self) -> set[str]:
        return set(self.count)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def _write(made: MadeSweep, *others: MadeSweep) -> tuple[ReportResult, _Page]:
    path = made.home / "out" / "report.html"
    ids = [each.sweep_id for each in (made, *others)]
    result = write_report(made.ledger, made.store, ids, path)
    return result, _Page(path.read_text())


def test_the_page_answers_compares_and_says_what_is_not_known(tmp_path: Path) -> None:
    arms = one_axis({"2-silu": 1.0, "linear": 0.4, "3-silu": 1.1})
    made = make_sweep(tmp_path, Recipe(arms=arms))

    result, page = _write(made)

    assert result.headline in page.text.replace("\N{MINUS SIGN}", "-")
    for part in (
        "Does a deeper, non-linear reward head help?",
        "The recipe and what was varied",
        "Effects by axis",
        "worse in general",
        "Accuracy of every arm",
        "Learning curves",
        "Where arms are strong and weak",
        "Do the images matter?",
        "Ensemble",
        "Cost and failures",
        "What is not known",
        "How to reproduce",
        made.sweep_id,
        "ties are wrong",
    ):
        assert part in page.text
    told = result.to_json()
    assert told["sweeps"] == [made.sweep_id]
    assert told["verdicts"][made.sweep_id]["arms"]["head=linear"]["verdict"] == "worse in general"


def test_the_page_needs_no_network_and_runs_no_script_but_its_own(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.1})))

    result, page = _write(made)

    html = result.path.read_text()
    assert all(link.startswith("#") for link in page.links)
    assert not {"link", "iframe", "img"} & page.tags
    addresses = set(re.findall(r"https?://[^\s\"'<)]+", html))
    assert all(address.startswith("http://www.w3.org/") for address in addresses)
    assert "@import" not in html
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "default-src 'none'" in html
    assert result.size_bytes < 1_000_000


def test_ids_are_unique_and_links_lead_to_them(tmp_path: Path) -> None:
    first = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 1.1}), items=80))
    second = make_sweep(
        tmp_path,
        Recipe(name="scale", arms=one_axis({"s": 1.0, "m": 1.2}, axis="scale"), items=80),
        ledger=first.ledger,
    )

    result, page = _write(first, second)

    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(result.headline.splitlines()) == 2
    assert first.ledger.publications(second.sweep_id)[0].kind == "report"


def test_what_came_from_elsewhere_is_escaped(tmp_path: Path) -> None:
    arms = [
        MadeArm(name="baseline", point={"head": "a"}),
        MadeArm(name=f"head={EVIL}", point={"head": EVIL}),
        MadeArm(name="head=$x_1$ \N{CJK UNIFIED IDEOGRAPH-5927}", point={"head": "$x_1$"}),
        MadeArm(name="head=c", point={"head": "c"}, ends={0: TrialState.FAILED}),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, question=EVIL, items=80))

    _, page = _write(made)

    assert page.count["script"] == 1
    assert page.text.count("alert('x')") > 3
    assert "<CUDA out of memory>" in page.text


@pytest.mark.parametrize(
    ("ends", "finish", "said"),
    [
        pytest.param(
            TrialState.FAILED, SweepState.FAILED, "none of 6 trials has finished", id="all-failed"
        ),
        pytest.param(
            TrialState.PENDING, None, "none of 6 trials has finished", id="nothing-started"
        ),
        pytest.param(
            TrialState.STOPPED_EARLY, SweepState.STOPPED, "6 stopped early", id="all-stopped"
        ),
    ],
)
def test_a_sweep_without_results_still_has_a_report(
    tmp_path: Path, ends: TrialState, finish: SweepState | None, said: str
) -> None:
    ending = dict.fromkeys(range(3), ends)
    arms = [
        MadeArm(name="baseline", point={"head": "a"}, ends=ending),
        MadeArm(name="head=b", point={"head": "b"}, ends=ending),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, finish=finish))

    result, page = _write(made)

    assert "No answer" in result.headline
    assert said in page.text


def test_a_running_sweep_has_a_preliminary_report(tmp_path: Path) -> None:
    ends = {2: TrialState.RUNNING}
    arms = [
        MadeArm(name="baseline", point={"head": "a"}, ends={2: TrialState.PENDING}),
        MadeArm(name="head=b", point={"head": "b"}, ability=1.6, ends=ends),
    ]
    made = make_sweep(tmp_path, Recipe(arms=arms, finish=None))

    result, page = _write(made)

    assert result.headline.startswith("Preliminary, 4 of 6 trials finished: ")
    assert "2 of 6 trials have not finished; everything here is preliminary" in page.text
    assert "running" in page.text


def test_one_arm_is_described_and_not_compared(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0})))

    result, page = _write(made)

    assert result.headline.startswith("Nothing to compare: only baseline has results")
    assert "Only one level of this axis has an arm" in page.text
    assert "there is one arm with results" in page.text
    assert "there is no result" not in page.text


def test_one_seed_claims_nothing_of_recipes(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2}), seeds=1))

    _, page = _write(made)

    assert "better in general" not in page.text
    assert "worse in general" not in page.text
    assert "Some comparisons rest on one seed" in page.text


def test_a_benchmark_with_nothing_but_ties_claims_nothing(tmp_path: Path) -> None:
    arms = [MadeArm(name=name, point={"head": name}, scale=0.0) for name in ("baseline", "head=b")]
    made = make_sweep(tmp_path, Recipe(arms=arms, items=60))

    result, page = _write(made)

    assert "no arm is distinguishable from baseline" in result.headline
    assert "better in general" not in page.text
    assert "100.0% of the scored pairs are ties, which count as wrong" in page.text


def test_trials_whose_score_tables_are_gone_are_left_out_and_the_rest_is_reported(
    tmp_path: Path,
) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2, "c": 0.9}), items=60))
    gone = {trial.identity for trial in made.ledger.trials(made.sweep_id) if trial.arm == "head=c"}
    for table in (made.home / "store").rglob("scores/*.parquet"):
        if gone & set(table.parts):
            table.unlink()

    result, page = _write(made)

    assert "head=b is worse than head=a in general" in page.text
    assert "head=c: no comparison, no scores of head=c (3 succeeded)" in page.text
    assert result.headline


def test_validation_items_are_never_reported(tmp_path: Path) -> None:
    benchmarks = {"validation": BenchmarkConfig(split="validation")}
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.2}), benchmarks=benchmarks))

    result, _ = _write(made)

    assert "no test benchmark was scored" in result.headline


def test_wrong_requests_are_refused(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0}), items=40))

    with pytest.raises(InputError, match="at least one sweep"):
        write_report(made.ledger, made.store, [], tmp_path / "r.html")
    with pytest.raises(MissingError, match="did you mean"):
        write_report(made.ledger, made.store, ["reward-hed"], tmp_path / "r.html")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(made.ledger, made.store, [made.sweep_id], tmp_path)


def test_markdown_tables_have_a_row_per_level_and_per_arm(tmp_path: Path) -> None:
    arms = one_axis({"a": 1.0, "b|c": 0.3})
    made = make_sweep(tmp_path, Recipe(arms=arms))
    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    effects = effects_table(ablation).markdown()
    listed = arms_table(ablation).markdown()

    assert len([line for line in effects.splitlines() if line.startswith("|")]) == 3
    assert "head=b\\|c" in effects
    assert "worse in general" in effects
    assert "baseline (best on validation)" in listed


def test_scales_hold_what_they_draw_and_have_round_ticks(tmp_path: Path) -> None:
    made = make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.3})))
    ablation = ablate(read_sweep(made.ledger, made.sweep_id))

    effects = effect_scale(ablation.axes[0].levels)
    accuracies = accuracy_scale(ablation.arms)

    assert effects.signed
    assert 0 in effects.ticks
    assert effects.x(effects.low) == effects.margin
    for arm in ablation.arms:
        assert arm.accuracy is not None
        assert not any(accuracies.beyond(100 * seed) for seed in arm.accuracy.per_seed)
    assert effect_scale([]).ticks
    assert accuracy_scale([]).ticks
