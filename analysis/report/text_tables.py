"""Tables as text: Markdown for issues and chats, LaTeX with booktabs for papers.

Invariant: what is in a cell comes out as text. No level, name or message can end a cell, start a
link, run a macro or make an element.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_CELL, LONGEST_HEAD = 22, 12
"""Letters beyond which LaTeX breaks a cell of text, and a head over figures, into lines."""
_BROKEN = r">{\raggedright\arraybackslash}p{11em}"
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|~#])")
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "\N{EM DASH}": "---",
    "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{ALMOST EQUAL TO}": r"$\approx$", "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$", "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "\N{DAGGER}": r"\dag{}", "\N{DOUBLE DAGGER}": r"\ddag{}", "\N{SECTION SIGN}": r"\S{}",
    "\N{BLACK STAR}": r"$\star$",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """A table whose cells are plain text."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    """Columns, from 0, that hold figures."""
    notes: Sequence[str] = ()
    """Under the table."""
    label: str = ""
    """What LaTeX refers to it by; none when empty."""

    def markdown(self) -> str:
        """A table of GitHub's Markdown, its notes below."""
        rule = ["---:" if column in self.right else "---" for column in range(len(self.head))]
        lines = [_line(map(markdown_text, self.head)), _line(rule)]
        lines += [_line(map(markdown_text, row)) for row in self.rows]
        said = [f"\n{markdown_text(note)}" for note in self.notes]
        return "\n".join([*lines, *said]) + "\n"

    def latex(self) -> str:
        """A `table` float, no wider than the text; needs `array`, `booktabs` and `graphicx`."""
        columns = "".join(map(self._column, range(len(self.head))))
        rows = [" & ".join(map(latex_text, row)) + r" \\" for row in self.rows]
        notes = [rf"\par\smallskip{{\footnotesize {latex_text(note)}}}" for note in self.notes]
        label = [rf"\label{{tab:{_label(self.label)}}}"] if self.label else []
        return "\n".join(
            [
                r"\begin{table}[tb]",
                r"\centering\small",
                rf"\caption{{{latex_text(self.caption)}}}",
                *label,
                rf"\sbox0{{\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
                r"\toprule",
                " & ".join(map(self._heading, range(len(self.head)))) + r" \\",
                r"\midrule",
                *rows,
                r"\bottomrule",
                r"\end{tabular}}",
                r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
                *notes,
                r"\end{table}",
                "",
            ]
        )

    def _column(self, column: int) -> str:
        """How LaTeX sets a column: figures to the right, long text broken into lines."""
        if column in self.right:
            return "r"
        longest = max((len(row[column]) for row in self.rows), default=0)
        return _BROKEN if longest > LONGEST_CELL else "l"

    def _heading(self, column: int) -> str:
        """A column's head; over figures, which are not broken, in several lines."""
        head = self.head[column]
        if column not in self.right or len(head) <= LONGEST_HEAD:
            return latex_text(head)
        lines = (latex_text(line) for line in textwrap.wrap(_one_line(head), LONGEST_HEAD))
        return r"\shortstack[r]{" + r" \\ ".join(lines) + "}"


def markdown_text(text: str) -> str:
    """Text as Markdown shows it, on one line."""
    return _MARKDOWN.sub(r"\\\1", _one_line(text)).replace("&", "&amp;").replace("\\<", "&lt;")


def latex_text(text: str) -> str:
    """Text as LaTeX sets it, on one line."""
    return "".join(_LATEX.get(letter, letter) for letter in _one_line(text))


def _line(cells: Sequence[str] | map[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which end rows in one form or the other."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _label(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9:-]+", "-", text)
