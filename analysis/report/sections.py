"""Sections of a report: each one shows itself in Jupyter, and as HTML, Markdown and LaTeX.

A notebook's cells end in sections; `analysis.report.writing` collects what they showed into one
file. So a report is changed by changing its notebook.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analysis.ensembles.choosing import choose_ensemble
from analysis.foreign.tables import ForeignScores
from analysis.report import tables as report_tables
from analysis.report import words as report_words
from analysis.report.page import SweepPage, prominent_arms
from analysis.report.pictures import curves_picture, effects_picture
from analysis.report.text_tables import TextTable, latex_text, markdown_text
from analysis.slices import MACRO_DRAWS
from analysis.statistics.resampling import FEWEST_GROUPS
from infra.errors import InputError
from infra.provenance import take_provenance
from infra.settings import masked

MIME = "application/vnd.rmsweep.section+json"
"""Under which a section shows what a report needs of it."""
UNFOLDED = 12
"""Axes whose effects are all open on a page; of more, those where a level is told apart."""
MANY = 250
"""Rows of a table on a page; Markdown and LaTeX have all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a report."""

    name: str
    """Id of its heading."""
    title: str
    html: Markup
    prose: Sequence[str] = ()
    """What it says, for forms without plots."""
    tables: Sequence[TextTable] = field(default_factory=tuple)
    headline: str = ""
    """The answer, where this is a sweep's summary."""
    picture: Callable[[], bytes] | None = None
    """Draws its plot as PNG; no bytes where there is nothing to draw."""
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`report.tables.verdicts` by sweep, where it shows them."""

    def markdown(self) -> str:
        """Heading, sentences, tables; nothing where there is nothing to say."""
        if not (self.html or self.prose or self.tables):
            return ""
        said = [markdown_text(text) for text in self.prose]
        lists = "\n".join(f"- {text}" for text in said) if len(said) > 1 else "".join(said)
        tables = [f"{markdown_text(table.caption)}\n\n{table.markdown()}" for table in self.tables]
        return "\n\n".join(filter(None, [f"## {markdown_text(self.title)}", lists, *tables]))

    def latex(self) -> str:
        """The tables; sentences as a comment above them."""
        if not self.tables:
            return ""
        said = [f"% {latex_text(text)}" for text in (self.title, *self.prose)]
        return "\n".join([*said, *(table.latex() for table in self.tables)])

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        return {
            "text/html": f'<style>{style()}</style><div class="rmsweep">{self.html}</div>',
            "text/markdown": self.markdown(),
            "text/latex": self.latex(),
            "text/plain": f"<section {self.title}>",
            MIME: {
                "name": self.name,
                "title": self.title,
                "html": str(self.html),
                "headline": self.headline,
                "picture": base64.b64encode(self.picture() if self.picture else b"").decode(),
                "verdicts": self.verdicts,
            },
        }


def summary(page: SweepPage) -> Section:
    """The question, the answer in one sentence, and the sweep at a glance."""
    name = report_words.brief(page.tables.sweep.name)
    question = str(page.tables.sweep.spec_json.get("question") or "")
    asked = [report_words.brief(question, 600)] if question else []
    made = _section("summary", name, page, prose=[*asked, page.answer])
    return replace(made, headline=page.answer)


def recipe(page: SweepPage) -> Section:
    """The baseline, and what was varied around it."""
    table = TextTable(
        caption="What was varied.",
        head=["axis", "baseline", "tried instead"],
        rows=[[row.axis, row.baseline, ", ".join(row.tried[:40])] for row in page.recipe],
        label="recipe",
    )
    return _section("recipe", "Recipe", page, tables=[table] if page.recipe else [])


def effects(page: SweepPage, *, margin: float | None = None) -> Section:
    """Every level against the baseline's, and whether within a margin in points of it."""
    found = [effect.said(margin) for axis in page.ablation.axes for effect in axis.levels]
    tables = [report_tables.effects_table(page.ablation)] if found else []
    shown = {"unfolded": UNFOLDED, "margin": margin}
    made = _section("effects", "Effects", page, prose=found[:MANY], tables=tables, more=shown)
    return replace(made, picture=lambda: effects_picture(page))


def arms(page: SweepPage) -> Section:
    """Accuracy of every arm; on a page the best ones, where there are very many."""
    listed = page.ablation.arms
    if len(listed) > MANY:
        best = dict.fromkeys(prominent_arms(page.ablation)[:MANY])
        listed = tuple(arm for arm in listed if arm.arm in best)
    tables = [report_tables.arms_table(page.ablation)]
    made = _section("arms", "Arms", page, tables=tables, more={"arms": listed})
    return replace(made, verdicts={page.tables.sweep_id: report_tables.verdicts(page.ablation)})


def curves(page: SweepPage) -> Section:
    """Learning curves; nothing where no trial reported more than once."""
    made = _section("curves", "Learning curves", page, shown=page.curves is not None)
    return replace(made, picture=lambda: curves_picture(page))


def slices(page: SweepPage) -> Section:
    """Accuracy by category, source, modality, length and margin."""
    tables = [
        report_tables.slices_table(each, page.sliced_arms, page.basis) for each in page.slices
    ]
    return _section(
        "slices",
        "Slices",
        page,
        tables=tables,
        shown=bool(page.slices),
        more={"draws": MACRO_DRAWS, "fewest": FEWEST_GROUPS},
    )


def images(page: SweepPage) -> Section:
    """What is left without the right images."""
    tables = [] if page.images is None else [report_tables.images_table(page.images)]
    if page.twins:
        tables.append(report_tables.twins_table(page.twins, str(page.ablation.baseline)))
    return _section("images", "Image check", page, tables=tables, shown=bool(tables))


def cost(page: SweepPage) -> Section:
    """What was spent, and what failed."""
    spent = report_words.hours(page.tables.spent.device_seconds)
    priced = "" if page.usd is None else f", ${page.usd:.2f}"
    failed = [
        f"{failure.arm}, seeds {', '.join(map(str, failure.seeds))}: {failure.kind}, "
        f"{failure.message}"
        for failure in page.failures[:MANY]
    ]
    return _section(
        "cost", "Cost and failures", page, prose=[f"{spent} of devices{priced}.", *failed]
    )


def unknowns(page: SweepPage) -> Section:
    """What this report cannot tell."""
    return _section("unknown", "What is not known", page, prose=page.unknowns, file="unknowns")


def reproduce(page: SweepPage, *, many: bool = False) -> Section:
    """How to do it again, and from what exactly it came."""
    sweep = page.tables.sweep
    return _section(
        "reproduce",
        "How to reproduce",
        page,
        prose=[
            f"rmsweep run {report_words.brief(sweep.name)}.yaml, rmsweep report {sweep.sweep_id}"
        ],
        more={"provenance": take_provenance(), "many": many},
    )


def ensemble(
    pages: SweepPage | Sequence[SweepPage], foreign: ForeignScores | None = None
) -> Section:
    """The ensemble these sweeps and models scored elsewhere would give, or why there is none."""
    listed = [pages] if isinstance(pages, SweepPage) else list(pages)
    result, reason, tables = None, "", []
    try:
        result = choose_ensemble([page.tables for page in listed], foreign=foreign)
    except InputError as error:
        reason = report_words.brief(str(error), 600)
    if result is not None:
        rows = [
            [member.label if member.seed is None else member.arm,
             "" if member.seed is None else str(member.seed), f"{member.weight:.3f}",
             f"{100 * member.validation_accuracy:.1f}"]
            for member in result.members
        ]  # fmt: skip
        tables = [
            TextTable(
                caption=f"Members of the {result.method} ensemble."
                if len(rows) > 1
                else "The model that is kept.",
                head=["arm", "seed", "weight", "alone on validation"],
                rows=rows,
                right=(1, 2, 3),
                notes=[
                    *([] if result.evidence is None else [result.evidence.basis]),
                    *([] if result.diversity is None else [f"{result.diversity.text}."]),
                ],
                label="ensemble",
            )
        ]
    html = _rendered(
        "ensemble",
        {
            "ensemble": result,
            "no_ensemble": reason,
            "scores": "" if foreign is None else str(foreign.folder),
        },
    )
    said = [result.headline if result is not None else f"None: {reason}."]
    return Section(name="ensemble", title="Ensemble", html=html, prose=said, tables=tables)


def text(
    name: str, title: str, *, prose: Sequence[str] = (), tables: Sequence[TextTable] = ()
) -> Section:
    """A section of one's own: sentences and tables."""
    html = _rendered("text", {"name": name, "title": title, "prose": prose, "tables": tables})
    return Section(name=name, title=title, html=html, prose=prose, tables=tables)


def nothing(name: str, title: str) -> Section:
    """A section that is not shown: the sweep does not bear it."""
    return Section(name=name, title=title, html=Markup(""))


@cache
def style() -> str:
    """The style sheet of report and notebook."""
    return str(_environment().get_template("report.css").render())


def template(name: str) -> Any:  # noqa: ANN401 -- a jinja template, whose package has no types here
    """A template of the report, every value in it escaped."""
    return _environment().get_template(name)


def _section(  # noqa: PLR0913 -- all optional ones by name
    name: str,
    title: str,
    page: SweepPage,
    *,
    prose: Sequence[str] = (),
    tables: Sequence[TextTable] = (),
    shown: bool = True,
    file: str = "",
    more: Mapping[str, object] | None = None,
) -> Section:
    html = _rendered(file or name, {"page": page, **(more or {})}) if shown else Markup("")
    return Section(name=f"{name}-{page.anchor}", title=title, html=html, prose=prose, tables=tables)


def _rendered(name: str, values: Mapping[str, object]) -> Markup:
    return Markup(template(f"sections/{name}.html.j2").render(most=MANY, **values))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("analysis.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        points=report_words.points,
        percent=report_words.percent,
        p_value=report_words.p_value,
        duration=report_words.hours,
        moment=report_words.moment,
        glyph=report_words.verdict_glyph,
        masked=masked,
        typeset=report_words.typeset,
        breakable=report_words.breakable,
        brief=report_words.brief,
    )
    return environment
