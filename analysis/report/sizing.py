"""How large a page may get: plots go first, and what went is said where it was.

Invariant: figures in words and numbers stay, whatever the size; a page that they alone make too
large says so at its head.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from markupsafe import Markup

from analysis.report.outputs import Piece

LARGEST = 8_000_000
"""Bytes of a page; mail and browsers take that much, and nobody reads more."""

_DRAWN = re.compile(r"<svg\b.*?</svg>|<img\b[^>]*>", re.DOTALL)
_LEFT_OUT = Markup(
    '<p class="note">Plots are left out here, to keep the page under {limit:.0f} MB; the figures '
    "are all there.</p>"
)
_STILL = Markup(
    '<p class="note">This page has {size:.0f} MB, more than {limit:.0f}, without any plot: name '
    "fewer sweeps, or take the tables (<code>--format markdown</code>).</p>"
)


def within_limit(
    shown: Sequence[Piece], page: Callable[[Sequence[Piece]], str], *, largest: int = LARGEST
) -> bytes:
    """The page of these pieces, plots left out of the fullest until it is small enough.

    Args:
        shown: What the page shows, in its order.
        page: Makes the page of pieces.
        largest: Bytes it may have.
    """
    data = page(shown).encode(errors="replace")
    if len(data) <= largest:
        return data
    kept = list(shown)
    over = len(data) - largest
    fullest = sorted(range(len(shown)), key=lambda place: -_drawn(shown[place]))
    for place in fullest:
        size = _drawn(shown[place])
        if over <= 0 or not size:
            break
        note = _LEFT_OUT.format(limit=largest / 1e6)
        kept[place] = replace(shown[place], html=Markup(_DRAWN.sub("", shown[place].html)) + note)
        over -= size - len(note)
    data = page(kept).encode(errors="replace")
    if len(data) > largest:
        note = _STILL.format(size=len(data) / 1e6, limit=largest / 1e6)
        kept[0] = replace(kept[0], html=kept[0].html + note)
        data = page(kept).encode(errors="replace")
    return data


def _drawn(piece: Piece) -> int:
    """Bytes of a piece's plots."""
    return sum(len(found.encode(errors="replace")) for found in _DRAWN.findall(piece.html))
