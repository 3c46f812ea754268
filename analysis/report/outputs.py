"""What a notebook's cells showed, as pieces of a report in every form.

Sections know their own forms. Of anything else - a frame, a figure, printed text, Markdown between
the cells - the richest form is taken that needs no script.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from analysis.report.notebook import ExecutedNotebook
from analysis.report.sections import MIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One thing a notebook showed."""

    html: Markup
    markdown: str = ""
    latex: str = ""
    section: bool = False
    name: str = ""
    title: str = ""
    headline: str = ""
    """The answer, where the piece is a sweep's summary."""
    picture: bytes = b""
    """Its plot as PNG, where it has one."""
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What may be said of every arm, by sweep."""


def pieces(executed: ExecutedNotebook) -> list[Piece]:
    """Everything the notebook showed, in its order; its source code is left out."""
    found: list[Piece] = []
    for number, (cell, output) in enumerate(executed.outputs()):
        if output is None:
            hidden = number == 0 or "hide" in cell.metadata.get("tags", ())
            if not hidden:  # the first cell says what the notebook is, not what it found
                found.append(Piece(html=_from_markdown(cell.source), markdown=cell.source))
        elif output.output_type == "stream":
            found.append(_printed(output.text))
        elif output.output_type in ("display_data", "execute_result"):
            found.append(_shown(output.data))
    return found


def _shown(data: Mapping[str, Any]) -> Piece:
    if MIME in data:
        section: Mapping[str, Any] = data[MIME]
        return Piece(
            html=Markup(section["html"]),  # rendered, and escaped, by its template
            markdown=data.get("text/markdown", ""),
            latex=data.get("text/latex", ""),
            section=True,
            name=section["name"],
            title=section["title"],
            headline=section["headline"],
            picture=base64.b64decode(section["picture"]),
            verdicts=section["verdicts"],
        )
    if "text/html" in data:
        html = f'<div class="scroll own">{data["text/html"]}</div>'
        return Piece(html=Markup(html), markdown=_code(data.get("text/plain", "")))
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            source = f"data:{kind};base64,{data[kind].strip()}"
            return Piece(html=Markup('<figure><img alt="" src="{}"></figure>').format(source))
    if "image/svg+xml" in data:
        return Piece(html=Markup(f"<figure>{data['image/svg+xml']}</figure>"))
    if "text/markdown" in data:
        return Piece(html=_from_markdown(data["text/markdown"]), markdown=data["text/markdown"])
    return _printed(data.get("text/plain", ""))


def _printed(text: str) -> Piece:
    return Piece(html=Markup("<pre>{}</pre>").format(text), markdown=_code(text))


def _code(text: str) -> str:
    """Indented, which no text inside can end."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _from_markdown(text: str) -> Markup:
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return Markup(rendered) if text.strip() else escape("")
