"""Scoring a file of prompts of any length: in parts, resumable, with bounded memory.

What a member gives to a chunk of rows is one part, written whole or not at all beside the result.
A run that was killed finds its parts and goes on; chunks are cut by row numbers alone, so the table
is the same as of a run that was never broken. Parts of another question are thrown away.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infra.errors import BusyError, DataError, DiskFullError, InputError, StoreError
from trainer.data.items import PreferenceItem
from trainer.data.row_files import read_rows
from trainer.data.unlabelled import Chunk, chunks_to_score
from trainer.identity import SCORING_VERSION
from trainer.score_forms import ENDINGS, TableWriter, table_writer
from trainer.scores import SCORE_SCHEMA, one_row_per_response
from trainer.scoring import EnsembleScorer, ModelScorer

CHUNK_ROWS = 256
"""Rows of the file in one part: what a killed run loses at most, per member."""
REFUSED = b"refused"
"""In a part's metadata: rows that a member could not take, by number, and why."""

Progress = Callable[[int, int], None]
"""Told rows that are done and rows in all, each counted once per member."""


@dataclass(slots=True)
class ScoredFile:
    """What became of a file."""

    rows: int = 0
    responses: int = 0
    resumed_parts: int = 0
    """Parts that an earlier run had left."""
    unusable: list[tuple[int, str]] = field(default_factory=list)
    """Numbers (from 1) and reasons of rows left out."""


def score_file(  # noqa: PLR0913 -- all by name
    scorer: ModelScorer | EnsembleScorer,
    source: Path,
    out: Path,
    *,
    benchmark: str = "scored",
    split: Literal["validation", "test"] = "test",
    chunk_rows: int = CHUNK_ROWS,
    progress: Progress = lambda done, total: None,
) -> ScoredFile:
    """Write the scores of a file's responses as Parquet, JSON lines or CSV.

    Args:
        scorer: One model or an ensemble.
        source: JSON lines, Parquet or CSV of prompts and responses, labelled or not.
        out: The result; what is there is replaced when the new one is whole.
        benchmark: Name in the table.
        split: Split in the table.
        chunk_rows: Rows in one part.
        progress: Told how far it is.

    Returns:
        What was scored; `out` has the score table's columns, and of an ensemble
        `member_tables.EXTRA_COLUMNS`, one row per response.

    Raises:
        MissingError: If there is no such file, or a model is gone.
        DataError: If the file cannot be read, or no row can be scored.
        InputError: If the ending of `out` is none, `out` is the file itself or in no place that can
            be written to, or the ensemble's rule does not apply.
        BusyError: If another run writes the same result.
        DiskFullError: If no space is left; what is done stays.
    """
    if out.suffix not in ENDINGS:
        raise InputError(f"scores are written as {', '.join(ENDINGS)}, got {out}")
    if out.resolve() == source.resolve():
        raise InputError(f"scores written to {out} would replace what is scored; name another file")
    asked = {
        "scorer": scorer.fingerprint,
        "source": _sha256(source),
        "benchmark": benchmark,
        "split": split,
        "chunk_rows": chunk_rows,
        "version": SCORING_VERSION,
    }
    rows = sum(1 for _ in read_rows(source))
    with _filing(out), _parts(out, asked) as parts:
        outcome = ScoredFile(rows=rows)
        chunks = range(-(-rows // chunk_rows))
        names = [
            [parts / f"member-{member:04d}-{chunk:07d}.parquet" for chunk in chunks]
            for member in range(scorer.size)
        ]
        outcome.resumed_parts = sum(path.exists() for member in names for path in member)
        done = _Count(progress, rows * scorer.size)
        done.add(min(rows, chunk_rows) * outcome.resumed_parts)
        missing = [n for n, member in enumerate(names) if not all(p.exists() for p in member)]
        for models in scorer.rounds(missing):
            for number, chunk in enumerate(chunks_to_score(source, size=chunk_rows)):
                for member in models:
                    if not names[member][number].exists():
                        table = _scores(models[member], chunk, benchmark, split)
                        _write_part(names[member][number], table)
                        done.add(chunk.rows)
        refused = [_refused(paths) for paths in zip(*names, strict=True)]
        for chunk, told in zip(chunks_to_score(source, size=chunk_rows), refused, strict=True):
            outcome.unusable += sorted([*chunk.unusable, *told.items()])
        if len(outcome.unusable) == rows:
            first = f"; row 1: {outcome.unusable[0][1]}" if outcome.unusable else ""
            columns = _columns(source)
            raise DataError(f"no row of {source} can be scored{first}{columns}")
        outcome.responses = _gather(scorer, names, refused, out)
    return outcome


@dataclass(slots=True)
class _Count:
    tell: Progress
    total: int
    done: int = 0

    def add(self, rows: int) -> None:
        """So many more are done."""
        self.done = min(self.total, self.done + rows)
        self.tell(self.done, self.total)


def _scores(scorer: ModelScorer, chunk: Chunk, benchmark: str, split: str) -> pa.Table:
    """One member's part; rows it cannot take are told in the table's metadata."""
    items, refused = list(chunk.items), {}
    try:
        table = _scored(scorer, items, benchmark, split)
    except DataError:
        refused = {item.item_id: why for item in items if (why := scorer.refusal(item))}
        if not refused:
            raise
        taken = [item for item in items if item.item_id not in refused]
        table = _scored(scorer, taken, benchmark, split)
    return table.replace_schema_metadata({REFUSED: json.dumps(refused)})


def _scored(
    scorer: ModelScorer, items: list[PreferenceItem], benchmark: str, split: str
) -> pa.Table:
    if not items:
        return SCORE_SCHEMA.empty_table()
    return one_row_per_response(scorer.score(items, benchmark=benchmark, split=split))


def _refused(parts: Iterable[Path]) -> dict[int, str]:
    """Numbers of the rows that a member could not take, and why; they have no ensemble's score."""
    refused: dict[int, str] = {}
    for path in parts:
        told = json.loads((pq.read_schema(path).metadata or {}).get(REFUSED, b"{}"))
        refused |= {int(number): why for number, why in told.items() if int(number) not in refused}
    return refused


def _gather(
    scorer: ModelScorer | EnsembleScorer,
    names: list[list[Path]],
    refused: list[dict[int, str]],
    out: Path,
) -> int:
    """Combine the members' parts chunk by chunk; the result appears when it is whole."""
    aside = out.with_name(f".{out.name}.aside")
    responses = 0
    with ExitStack() as stack:
        writer: TableWriter | None = None
        for paths, without in zip(zip(*names, strict=True), refused, strict=True):
            tables = [_read_part(path, without) for path in paths]
            if not tables[0].num_rows:
                continue
            table = scorer.combined(tables)
            if writer is None:
                writer = stack.enter_context(table_writer(aside, out.suffix, table.schema))
            writer.write(table)
            responses += table.num_rows
    aside.replace(out)
    return responses


def _read_part(path: Path, without: Collection[int]) -> pa.Table:
    table = pq.read_table(path).replace_schema_metadata(None)
    gone = pa.array([str(number) for number in without], pa.string())
    return table.filter(pc.invert(pc.is_in(table["item_id"], gone)))


def _write_part(path: Path, table: pa.Table) -> None:
    aside = path.with_suffix(".aside")
    pq.write_table(table, aside, compression="zstd")
    aside.replace(path)


@contextmanager
def _parts(out: Path, asked: dict[str, object]) -> Iterator[Path]:
    """The folder of parts of this very question; removed when the result stands."""
    folder = out.with_name(f"{out.name}.parts")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(
                f"another run is writing {out}; wait for it or write elsewhere"
            ) from error
        question = folder / "asked.json"
        text = json.dumps(asked, sort_keys=True)
        if not question.is_file() or question.read_text() != text:
            for path in folder.glob("member-*"):
                path.unlink()
            question.write_text(text)
        yield folder
        shutil.rmtree(folder)


_NO_PLACE = (
    FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError
)  # fmt: skip


@contextmanager
def _filing(out: Path) -> Iterator[None]:
    """What can go wrong with files, in words."""
    try:
        yield
    except OSError as error:
        if isinstance(error, _NO_PLACE) or error.errno == errno.ENAMETOOLONG:
            raise InputError(
                f"scores cannot be written to {out}: {error.strerror}; name a file in a folder "
                "that can be written to"
            ) from error
        if error.errno == errno.ENOSPC:
            raise DiskFullError(
                f"no space left to write {out}; free some and run it again: what is done is kept"
            ) from error
        raise StoreError(f"scores cannot be written to {out}: {error}") from error


@contextmanager
def scratch_result() -> Iterator[Path]:
    """A result that is only looked at."""
    with tempfile.TemporaryDirectory(prefix="rmsweep-scores-") as name:
        yield Path(name) / "scores.parquet"


def _columns(source: Path) -> str:
    """What the first row is made of, to be held against what is expected."""
    first = next(read_rows(source), None)
    if not isinstance(first, dict):
        return ""
    names = ", ".join(str(name) for name in list(first)[:8])
    return (
        f"; it has {names or 'no columns'}; expected prompt and responses, or chosen and rejected"
    )


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""  # reading it says what is wrong
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
