"""What figures of a report rest on stands beside them, in every form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.ensembles.choosing import choose_ensemble
from analysis.report import sections
from analysis.report.decisions import cost_front
from analysis.report.page import SweepPage, build_page
from analysis.report.trust import sanity
from analysis.report.writing import write_report
from analysis.slices import BlindArm, ImageCheck
from analysis.statistics.intervals import arm_accuracy
from analysis.tables import read_sweep
from analysis.text_twins import TextTwin
from infra.errors import InputError
from sweep.records.lifecycle import TrialState
from tests.analysis.made_sweeps import MadeArm, MadeSweep, Recipe, make_sweep, one_axis


@pytest.fixture
def made(tmp_path: Path) -> MadeSweep:
    """Arms alike but for chance, which an ensemble improves on."""
    return make_sweep(tmp_path, Recipe(arms=one_axis({"a": 1.0, "b": 0.9}), own_noise=1.2))


@pytest.fixture
def page(made: MadeSweep) -> SweepPage:
    return build_page(read_sweep(made.ledger, made.sweep_id))


def _forms(section: sections.Section) -> tuple[str, str, str]:
    """HTML, Markdown and LaTeX without what each of them marks up with."""
    forms = section.html.striptags(), section.markdown(), section.latex()
    html, markdown, latex = (re.sub(r"\s+", " ", form) for form in forms)
    return html, markdown, latex.replace("\\%", "%")


def test_the_ensemble_section_tells_how_alike_members_err(page: SweepPage) -> None:
    spread = choose_ensemble([page.tables]).diversity

    forms = _forms(sections.ensemble(page))

    assert spread is not None
    assert spread.error_correlation is not None
    for form in forms:
        assert f"correlation {spread.error_correlation:.2f}, both wrong on" in form


@pytest.mark.parametrize(
    "section",
    [sections.effects, sections.arms, sections.slices, sections.ensemble, cost_front, sanity],
)
def test_figures_state_pairs_groups_seeds_and_convention_in_every_form(
    page: SweepPage, section: Callable[[SweepPage], sections.Section]
) -> None:
    for form in _forms(section(page)):
        assert re.search(r"400 (pairs of test|items) in 200 groups", form)
        assert re.search(r"\b3 seeds\b|not for other seeds", form)
        assert "ties are wrong" in form


def test_the_image_section_states_what_it_rests_on_in_every_form(page: SweepPage) -> None:
    outcomes = page.ablation.outcomes
    (first, *_) = outcomes.arms
    accuracy = arm_accuracy(outcomes.of(first), outcomes.codes)
    images = ImageCheck(
        benchmark="test",
        shuffled="test-shuffled",
        pairs=len(outcomes.pairs),
        basis=outcomes.basis,
        arms=(BlindArm(arm=first, seeing=accuracy, blind=accuracy, drop=None),),
    )
    twin = TextTwin(arm=first, pairs=400, accuracy=accuracy, basis=outcomes.basis, gap=None)

    for form in _forms(sections.images(replace(page, images=images, twins=(twin,)))):
        assert form.count("400 pairs of test in 200 groups, 3 seeds per arm; ties are wrong") == 2


def test_what_differs_by_less_than_a_margin_is_said_in_every_form(made: MadeSweep) -> None:
    def claims(margin: float | None) -> list[str]:
        path = made.home / "report.html"
        write_report(made.ledger, made.store, [made.sweep_id], path, margin=margin)
        return re.findall(r"<li>(head=b is .*?)</li>", path.read_text())

    (plain,), (strict,), (wide,) = claims(None), claims(0.001), claims(99.0)

    assert "two one-sided tests" not in plain
    assert strict.startswith(plain)
    assert "Not shown: that they differ by less than 0.001 points" in strict
    assert "It is shown in general that they differ by less than 99 points" in wide
    page = build_page(read_sweep(made.ledger, made.sweep_id))
    section = sections.effects(page, margin=99.0)
    assert "in general that they differ by less than 99 points" in section.markdown()
    with pytest.raises(InputError, match="above 0 and below 100, got 0"):
        write_report(made.ledger, made.store, [made.sweep_id], made.home / "r.html", margin=0.0)


def test_unequal_seeds_and_an_absent_score_are_part_of_the_basis(tmp_path: Path) -> None:
    ended = {1: TrialState.FAILED, 2: TrialState.FAILED}
    arms = [*one_axis({"a": 1.0}), MadeArm(name="head=b", point={"head": "b"}, ends=ended)]
    some = make_sweep(tmp_path / "some", Recipe(arms=arms, items=40))
    none = make_sweep(
        tmp_path / "none",
        Recipe(arms=[MadeArm(name="baseline", point={}, ends={0: TrialState.FAILED})], seeds=1),
    )

    found = [build_page(read_sweep(made.ledger, made.sweep_id)) for made in (some, none)]

    assert (
        found[0].basis == "On 40 pairs of test in 20 groups, 1 to 3 seeds per arm; ties are wrong."
    )
    assert found[1].basis == "No finished trial was scored on a test benchmark."
    assert found[1].basis in sections.arms(found[1]).html
