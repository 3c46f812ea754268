"""A page has a size people can open: plots go first, figures never."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from analysis.report.outputs import Piece
from analysis.report.sizing import within_limit

PLOT = '<svg class="row"><path d="{}"/></svg>'


def _page(shown: Sequence[Piece]) -> str:
    return "".join(f"<section>{piece.html}</section>" for piece in shown)


def _piece(words: str, *, plots: int) -> Piece:
    return Piece(html=Markup(f"<p>{words}</p>" + PLOT.format("M0 0" * 250) * plots))


def test_a_page_that_is_small_enough_is_left_as_it_is() -> None:
    shown = [_piece("summary", plots=1), _piece("effects", plots=5)]

    assert within_limit(shown, _page, largest=100_000).decode() == _page(shown)


def test_plots_of_the_fullest_section_go_first_and_it_is_said_there() -> None:
    shown = [_piece("summary", plots=1), _piece("effects", plots=50), _piece("arms", plots=20)]

    page = within_limit(shown, _page, largest=40_000).decode()

    assert len(page) <= 40_000
    summary, effects, arms = page.split("<section>")[1:]
    assert summary.count("<svg") == 1
    assert "Plots are left out here" not in summary + arms
    assert "<p>effects</p>" in effects
    assert "<svg" not in effects
    assert "Plots are left out here" in effects
    assert arms.count("<svg") == 20


def test_embedded_images_are_plots_as_well() -> None:
    image = Piece(html=Markup('<figure><img alt="" src="data:image/png;base64,{}"></figure>'
                              ).format("A" * 50_000))  # fmt: skip

    page = within_limit([_piece("summary", plots=0), image], _page, largest=10_000).decode()

    assert "<img" not in page
    assert "Plots are left out here" in page


def test_words_are_never_cut_and_a_page_they_alone_make_too_large_says_so() -> None:
    shown = [_piece("summary", plots=1), _piece("w" * 30_000, plots=3)]

    page = within_limit(shown, _page, largest=20_000).decode()

    assert "w" * 30_000 in page
    assert "<svg" not in page
    assert "name fewer sweeps" in page
