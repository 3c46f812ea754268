"""The page in a real browser, on screen and on paper: Chromium, where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from analysis.report.writing import write_report
from tests.analysis.made_sweeps import Recipe, make_sweep, one_axis

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="takes a Chromium on the path"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with arms better, worse and alike, and more rows than are shown without a filter."""
    home = tmp_path_factory.mktemp("browser")
    levels = {"a": 1.0, "better": 0.2, "worse": 4.0}
    levels |= {f"same-{number:02d}": 1.0 for number in range(12)}
    made = make_sweep(home, Recipe(arms=one_axis(levels), seeds=5, items=300))
    return write_report(made.ledger, made.store, [made.sweep_id], home / "report.html").path


def _chromium(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    profile = page.parent / "profile"
    return subprocess.run(
        [
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--enable-logging=stderr", f"--user-data-dir={profile}", *options, page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )  # fmt: skip


def test_its_own_script_runs_and_the_page_asks_for_nothing_it_does_not_allow(page: Path) -> None:
    shown = _chromium(page, "--dump-dom", "--virtual-time-budget=5000")

    assert 'title="Sort by this column"' in shown.stdout
    assert 'placeholder="Filter ' in shown.stdout
    assert 'class="theme"' in shown.stdout
    said = [line for line in shown.stderr.splitlines() if "CONSOLE" in line]
    assert not said, "a console message: an error, or a request the page's policy refuses"


def test_on_paper_verdicts_are_glyphs_and_words_of_embedded_fonts(page: Path) -> None:
    paper = page.with_suffix(".pdf")

    _chromium(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")

    data = paper.read_bytes()
    assert data.startswith(b"%PDF-")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 40
    printed = _characters(data)
    for (
        glyph
    ) in "\N{BLACK UP-POINTING TRIANGLE}\N{BLACK DOWN-POINTING TRIANGLE}\N{ALMOST EQUAL TO}":
        assert glyph in printed, f"{glyph} tells verdicts apart without colour"
    assert "\N{MINUS SIGN}" in printed


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="takes poppler's pdftotext")
def test_a_table_that_goes_on_has_its_headings_on_every_page(page: Path) -> None:
    paper = page.with_suffix(".pdf")
    _chromium(page, f"--print-to-pdf={paper}", "--no-pdf-header-footer")

    printed = subprocess.run(
        ["pdftotext", "-layout", str(paper), "-"], capture_output=True, text=True, check=True
    ).stdout

    # Fifteen arms with words under each do not fit on what is left of a page.
    headings = [
        [*re.finditer(r"^ *Arm .*Trials .*Against baseline", part, re.MULTILINE)]
        for part in printed.split("\f")
    ]
    assert [len(found) for found in headings if found] in ([1, 1], [1, 1, 1])


def test_a_narrow_screen_scrolls_tables_not_the_page(page: Path, tmp_path: Path) -> None:
    framed = tmp_path / "framed.html"
    # A page of the test's own measures ours in a frame as wide as a telephone.
    framed.write_text(
        '<iframe id="f" width="390" height="800"></iframe><p id="wide"></p><script>'
        'const f = document.getElementById("f");'
        "f.onload = () => { const d = f.contentDocument.documentElement;"
        'document.getElementById("wide").textContent = `${d.scrollWidth} of ${d.clientWidth}`; };'
        f'f.src = "{page.as_uri()}";</script>'
    )

    shown = _chromium(
        framed, "--dump-dom", "--virtual-time-budget=8000", "--allow-file-access-from-files"
    )

    measured = re.search(r'<p id="wide">(\d+) of (\d+)</p>', shown.stdout)
    assert measured is not None, shown.stderr[-2000:]
    assert int(measured[1]) <= int(measured[2])


def _characters(data: bytes) -> set[str]:
    """Characters that text of a PDF maps to, read from its fonts' ToUnicode tables."""
    found: set[str] = set()
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            text = zlib.decompress(stream)
        except zlib.error:
            continue
        if b"begincmap" not in text:
            continue
        for first, last, start in re.findall(rb"<(\w+)> <(\w+)> <(\w{4})>", text):
            count = int(last, 16) - int(first, 16) + 1
            found |= {chr(int(start, 16) + step) for step in range(count)}
        found |= {chr(int(code, 16)) for _, code in re.findall(rb"<(\w+)> <(\w{4})>\n", text)}
    return found
