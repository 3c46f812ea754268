"""`write_report`: execute a notebook, collect what its cells showed, write it in every form asked.

Invariant: the HTML file makes no request and runs no script but its own, and all that came from
elsewhere is escaped in every form.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup

from analysis.notebook_api import reading
from analysis.report.notebook import ExecutedNotebook, execute
from analysis.report.outputs import Piece, pieces
from analysis.report.page import anchor_of
from analysis.report.sections import style, template
from analysis.report.sizing import within_limit
from infra.errors import DiskFullError, InputError, StoreError
from infra.object_store import ObjectStore
from infra.provenance import take_provenance
from sweep.records.exhibits import VERDICTS
from sweep.records.ledger import Ledger
from sweep.records.rows import SweepRow

Format = Literal["html", "markdown", "latex", "notebook"]
SUFFIXES: dict[Format, str] = {
    "html": ".html",
    "markdown": ".md",
    "latex": ".tex",
    "notebook": ".ipynb",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult:
    """A written report."""

    path: Path
    """The first of the files."""
    paths: tuple[Path, ...]
    headline: str
    """The answer, of every sweep on a line of its own."""
    sweeps: tuple[str, ...]
    size_bytes: int
    """Of the HTML page, written or not."""
    verdicts: Mapping[str, Any]
    """What may be said of every arm, by sweep: `benchmark`, `baseline`, `arms`."""

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "path": str(self.path),
            "paths": [str(path) for path in self.paths],
            "headline": self.headline,
            "sweeps": list(self.sweeps),
            "size_bytes": self.size_bytes,
            "verdicts": dict(self.verdicts),
        }


def write_report(  # noqa: PLR0913 -- all optional ones by name
    ledger: Ledger,
    store: ObjectStore,
    sweep_ids: Sequence[str],
    out_path: Path | str,
    *,
    formats: Sequence[Format] = ("html",),
    notebook: str | Path | None = None,
    benchmark: str | None = None,
    margin: float | None = None,
    scores: Path | None = None,
) -> ReportResult:
    """Write the report of some sweeps, and have it shown with them.

    Args:
        ledger: Where the sweeps are known.
        store: Where their trials' files lie by default; gets `reports/<sweep id>.*` as well.
        sweep_ids: One sweep, or several to be compared; none where there are `scores`.
        out_path: The first of the files; further forms differ in their suffix.
        formats: What is written at `out_path`.
        notebook: A shipped one by name, or an `.ipynb` file with a parameter `sweeps`; `ablation`
            for one sweep and `compare_sweeps` for several when absent.
        benchmark: A test benchmark; the first one a sweep has when absent.
        margin: Points of accuracy below which a difference does not matter: which levels are shown
            to differ by less is said.
        scores: A folder of score tables of models trained elsewhere, to be compared as well.

    Raises:
        InputError: If there is neither sweep nor folder, the notebook fails, or nothing can be
            written there.
        MissingError: If a sweep does not exist.
    """
    if margin is not None and not 0 < margin < 100:
        raise InputError(
            f"a margin is some points of accuracy, above 0 and below 100, got {margin:g}"
        )
    if not sweep_ids and scores is None:
        raise InputError("a report needs at least one sweep or a folder of scores, got none")
    rows = list({row.sweep_id: row for row in map(ledger.sweep, sweep_ids)}.values())
    alone = len(rows) == 1 and scores is None
    chosen = notebook or ("ablation" if alone else "compare_sweeps")
    parameters: dict[str, Any] = {
        "sweeps": [row.sweep_id for row in rows],
        "benchmark": benchmark or "",
    }
    if margin is not None:
        parameters["margin"] = margin
    if scores is not None:
        parameters["scores"] = str(scores)
    with reading(ledger, store):
        executed = execute(chosen, parameters)
    shown = pieces(executed)
    headline = "\n".join(piece.headline for piece in shown if piece.headline)
    names = [row.name[:120] for row in rows] + ([scores.name] if scores is not None else [])
    forms = _forms(executed, shown, ", ".join(names))
    path = Path(out_path)
    paths = []
    for number, form in enumerate(dict.fromkeys(formats)):
        # The name given is kept for the first form, whatever its suffix.
        paths.append(path if number == 0 else path.with_suffix(SUFFIXES[form]))
        _write(paths[-1], forms[form])
    verdicts = {sweep: said for piece in shown for sweep, said in piece.verdicts.items()}
    if rows:
        _publish(ledger, store, rows, forms, shown, verdicts)
    return ReportResult(
        path=paths[0],
        paths=tuple(paths),
        headline=headline,
        sweeps=tuple(row.sweep_id for row in rows),
        size_bytes=len(forms["html"]),
        verdicts=verdicts,
    )


def render(shown: Sequence[Piece], *, title: str, notebook: str) -> str:
    """What a notebook showed as one HTML page."""
    # As written in the page: the page allows the script with this digest and no other.
    script = template("report.js").render().strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return str(
        template("report.html.j2").render(
            pieces=[piece for piece in shown if piece.html],
            contents=[
                {"anchor": piece.name, "title": piece.title, "sweep": bool(piece.headline)}
                for number, piece in enumerate(shown)
                if piece.section and piece.html and piece.title and number
            ],
            title=title,
            notebook=notebook,
            style=Markup(style()),
            script=Markup(script),
            script_digest=digest,
            provenance=take_provenance(),
            written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        )
    )


def _forms(executed: ExecutedNotebook, shown: Sequence[Piece], title: str) -> dict[Format, bytes]:
    import nbformat

    markdown = "\n\n".join(piece.markdown.strip() for piece in shown if piece.markdown.strip())
    latex = "\n".join(piece.latex for piece in shown if piece.latex)
    needs = (
        "% Needs \\usepackage{array,booktabs,graphicx}; compile with XeLaTeX or LuaLaTeX for other "
        "scripts.\n"
    )
    return {
        "html": within_limit(shown, partial(render, title=title, notebook=executed.name)),
        "markdown": f"{markdown}\n".encode(errors="replace"),
        "latex": f"{needs}\n{latex}".encode(errors="replace"),
        "notebook": nbformat.writes(executed.stripped()).encode(errors="replace"),
    }


def _pictures(shown: Sequence[Piece], sweep_id: str) -> dict[str, bytes]:
    """Plots of one sweep by file name, such as `effects.png`."""
    ending = f"-{anchor_of(sweep_id)}"
    return {
        f"{piece.name.removesuffix(ending)}.png": piece.picture
        for piece in shown
        if piece.picture and piece.name.endswith(ending)
    }


def _publish(
    ledger: Ledger,
    store: ObjectStore,
    rows: Sequence[SweepRow],
    forms: Mapping[Format, bytes],
    shown: Sequence[Piece],
    verdicts: Mapping[str, Any],
) -> None:
    """Keep the report in the store, and have trackers attach it to the run of every sweep in it."""
    written: dict[str, str] = {}
    for form, data in forms.items():
        written[f"report{SUFFIXES[form]}"] = key = f"reports/{rows[0].sweep_id}{SUFFIXES[form]}"
        store.write(key, data)
    answers = [piece.headline for piece in shown if piece.headline]
    for number, row in enumerate(rows):
        own = _pictures(shown, row.sweep_id)
        if row.sweep_id in verdicts:
            own[VERDICTS] = json.dumps(verdicts[row.sweep_id], indent=1).encode()
        for name, data in own.items():
            store.write(f"reports/{row.sweep_id}-{name}", data)
        files = written | {name: f"reports/{row.sweep_id}-{name}" for name in own}
        answer = answers[number] if number < len(answers) else "\n".join(answers)
        payload = {"files": files, "store": store.uri, "headline": answer}
        ledger.enqueue_publication(row.sweep_id, "report", payload)


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except (IsADirectoryError, NotADirectoryError, FileExistsError, PermissionError) as error:
        raise InputError(f"the report cannot be written to {path}: {error.strerror}") from error
    except OSError as error:
        if error.errno == 28:
            raise DiskFullError(f"no space left to write the report to {path}") from error
        raise StoreError(f"the report cannot be written to {path}: {error}") from error
