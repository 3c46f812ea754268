"""Score tables of models trained elsewhere: a folder of Parquet, CSV or JSON lines files.

Each file holds rows in the score table's form (`trainer.scores.SCORE_SCHEMA`). Only `REQUIRED`
columns must be there; other types are converted where nothing is lost, and refused by name where
something would be. A model is named by the columns `arm` and `seed`, else by its path: the first
folder below the given one, or the file's own name; `seed-3` as a folder or at the end of a name is
the seed. Several files of one model add up.

    from analysis.foreign.tables import read_foreign_scores

    foreign = read_foreign_scores("their-scores")
    foreign.notes  # repeated rows, missing items, assumed columns, in words
    foreign.outcomes("test", purpose="reporting")  # as `SweepTables.outcomes`
    foreign.scores(foreign.models[0], "validation", purpose="selection")  # a score table

Invariant: all problems of a folder are raised together; what is tolerated is said in `notes`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.alignment import Row
from analysis.foreign.checks import check_labels, missing_items, splits_of
from analysis.foreign.files import ENDINGS, LARGEST, named_by, read_file
from analysis.layouts import Block, Layout, Layouts, Scored
from analysis.outcomes import SPLIT_OF, Purpose, check_purpose
from analysis.scored_models import ScoredModels
from infra.errors import InputError
from trainer.identity import digest
from trainer.scores import SCORE_SCHEMA

_SHOWN = 12
"""Problems of a folder that are written out; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignModel:
    """One model that was trained and scored elsewhere."""

    arm: str
    seed: int
    identity: str
    """Hash of its scores: equal scores on equal items are the same model."""
    files: tuple[str, ...]
    """Where its rows came from, relative to the folder."""

    @property
    def label(self) -> str:
        """Arm and seed, for people."""
        return f"{self.arm} seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignScores(ScoredModels):
    """Models and their scores on named benchmarks, checked against one another."""

    folder: Path
    models: tuple[ForeignModel, ...]
    splits: Mapping[str, str]
    """Split of every benchmark."""
    notes: tuple[str, ...]
    """What was assumed, dropped or is missing."""
    scored: Mapping[tuple[str, str], Scored] = field(repr=False)
    """By (identity, benchmark)."""

    def benchmarks_for(self, purpose: Purpose) -> list[str]:
        """Names of the benchmarks a purpose may use."""
        return [name for name, split in self.splits.items() if split == SPLIT_OF[purpose]]

    def scores(self, model: ForeignModel, benchmark: str, *, purpose: Purpose) -> pa.Table | None:
        """A model's score table; none when it was not scored on this benchmark.

        Raises:
            InputError: If its items are of a split this purpose may not see.
        """
        held = self.scored.get((model.identity, benchmark))
        if held is None:
            return None
        table = held.layout.table(held.scores, held.parsed)
        check_purpose(table, benchmark, purpose)
        return table

    def rows(self, arms: Sequence[str] | None = None) -> list[Row]:
        """The models, those of some arms where they are named."""
        return [
            Row(model.identity, model.arm, model.seed)
            for model in self.models
            if arms is None or model.arm in arms
        ]

    def blocks(
        self, benchmark: str, arms: Sequence[str] | None = None
    ) -> tuple[list[Block], list[Layout]]:
        """Scores of the models on a benchmark, those on the same rows in one block."""
        by_layout: dict[str, list[tuple[str, Scored]]] = {}
        for row in self.rows(arms):
            held = self.scored.get((row.identity, benchmark))
            if held is not None:
                by_layout.setdefault(held.layout.digest, []).append((row.identity, held))
        blocks = [
            Block(
                layout=entries[0][1].layout,
                identities=tuple(identity for identity, _ in entries),
                scores=np.array([held.scores for _, held in entries]),
            )
            for entries in by_layout.values()
        ]
        return blocks, [block.layout for block in blocks]


def read_foreign_scores(folder: Path | str) -> ForeignScores:
    """Read, check and align every score table below a folder.

    Args:
        folder: Holds `.parquet`, `.csv` and `.jsonl` files, at any depth; others are ignored.

    Raises:
        InputError: With all problems: no folder or file, columns that are missing or cannot be
            converted, rows that contradict one another, a benchmark of two splits.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{root} is no folder; --scores takes a folder of score tables")
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in ENDINGS)
    if not paths:
        raise InputError(f"{root} holds no score table ({', '.join(ENDINGS)})")
    problems: list[str] = []
    notes: dict[str, list[str]] = {}
    gathered = _Gathered()
    for path in paths:
        name = path.relative_to(root).as_posix()
        for part in read_file(path, name, problems=problems, notes=notes):
            for (arm, seed, benchmark), rows in _by_model(path.relative_to(root), part):
                gathered.add((arm, seed), benchmark, name, rows)
    said = [_counted(note, names) for note, names in notes.items()]
    unread = bool(problems)
    gathered.join(problems, said)
    if unread:  # models lack rows, so what they disagree on is not known
        _refuse(root, problems)
    models, scored = _models(gathered, said)
    check_labels(scored, problems)
    splits = splits_of(scored, problems)
    _refuse(root, problems)
    said += missing_items([model.label for model in models], scored)
    return ForeignScores(
        folder=root,
        models=tuple(models),
        splits=splits,
        notes=tuple(said),
        scored={(models[index].identity, name): held for (index, name), held in scored.items()},
    )


def _by_model(path: Path, frame: pd.DataFrame) -> Iterator[tuple[tuple[str, int, str], pa.Table]]:
    """Rows by arm, seed and benchmark, in the order these first occur."""
    named, number = named_by(path)
    arms = frame["arm"] if "arm" in frame else pd.Series(named, index=frame.index)
    seeds = frame["seed"] if "seed" in frame else pd.Series(number, index=frame.index)
    keys = pd.MultiIndex.from_arrays([arms.astype(str), seeds.astype(int), frame["benchmark"]])
    codes, found = pd.factorize(keys)
    # Sorted once and sliced: picking the rows of each of many models goes through all of them.
    order = np.argsort(codes, kind="stable")
    rows = _table(frame.iloc[order])
    counts = np.bincount(codes)
    ends = np.cumsum(counts)
    for (arm, seed, benchmark), end, count in zip(found, ends, counts, strict=True):
        yield (str(arm), int(seed), str(benchmark)), rows.slice(end - count, count)


class _Gathered:
    """Models as their files are read: cut at once, so that one part's rows are in memory at most.

    What models share, a layout, is kept once; of a model there are its scores, in pieces until all
    files are read.
    """

    def __init__(self) -> None:
        self.files: dict[tuple[str, int], dict[str, None]] = {}
        self.scored: dict[tuple[str, int], dict[str, Scored]] = {}
        self._pieces: dict[tuple[str, int], dict[str, list[Scored]]] = {}
        self._layouts = Layouts()

    def add(self, key: tuple[str, int], benchmark: str, file: str, rows: pa.Table) -> None:
        """Rows of one model on one benchmark, in a part of one file."""
        self.files.setdefault(key, {})[file] = None
        own = self._pieces.setdefault(key, {})
        own.setdefault(benchmark, []).append(self._layouts.cut(rows))

    def join(self, problems: list[str], said: list[str]) -> None:
        """Make every model's pieces one, each row once."""
        for key, own in self._pieces.items():
            joined = self.scored.setdefault(key, {})
            for benchmark, pieces in own.items():
                place = f"{key[0]} seed {key[1]}, benchmark {benchmark!r}"
                tables = [piece.layout.table(piece.scores, piece.parsed) for piece in pieces]
                whole = pieces[0] if len(pieces) == 1 else self._layouts.cut(_one(tables))
                if whole.layout.repeated:
                    rows = _without_repeats(_one(tables).to_pandas(), place, problems, said)
                    whole = self._layouts.cut(rows)
                joined[benchmark] = whole
                pieces.clear()


def _one(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).combine_chunks()


def _models(
    gathered: _Gathered, said: list[str]
) -> tuple[list[ForeignModel], dict[tuple[int, str], Scored]]:
    models: list[ForeignModel] = []
    scored: dict[tuple[int, str], Scored] = {}
    known: dict[str, str] = {}
    for (arm, seed), own in gathered.scored.items():
        label = f"{arm} seed {seed}"
        for benchmark, held in own.items():
            lost = int(np.isnan(held.scores).sum())
            if lost:
                said.append(
                    f"{label}, benchmark {benchmark!r}: {lost} scores are no numbers below "
                    f"{LARGEST:g}; their pairs count as not scored"
                )
        content = {
            name: [held.layout.digest, digest(held.scores.tobytes().hex())]
            for name, held in own.items()
        }
        model = ForeignModel(
            arm=arm,
            seed=seed,
            identity=digest(content),
            files=tuple(gathered.files[arm, seed]),
        )
        if model.identity in known:
            said.append(f"{label} has the very scores of {known[model.identity]} and is left out")
            continue
        known[model.identity] = label
        scored |= {(len(models), name): held for name, held in own.items()}
        models.append(model)
    return models, scored


def _without_repeats(
    rows: pd.DataFrame, place: str, problems: list[str], said: list[str]
) -> pa.Table:
    """The rows as a score table, each once; rows that contradict each other are a problem."""
    key = ["item_id", "response", "order"]
    once = rows.drop_duplicates()
    if len(once) < len(rows):
        said.append(f"{place}: {len(rows) - len(once)} repeated rows are used once")
    twice = once[once.duplicated(key)]
    if len(twice):
        first = twice.iloc[0]
        problems.append(
            f"{place}: {len(twice)} rows contradict others, such as item {first['item_id']!r}, "
            f"response {first['response']}; give each response one row, or number its "
            "presentations in column order"
        )
    return _table(once)


def _table(rows: pd.DataFrame) -> pa.Table:
    columns = [
        # Only a margin may be empty; a score that is no number stays one.
        pa.array(rows[field.name].to_numpy(), field.type, from_pandas=field.nullable)
        for field in SCORE_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=SCORE_SCHEMA)


def _counted(note: str, names: Sequence[str]) -> str:
    return f"{note} ({names[0]}" + (f" and {len(names) - 1} more files)" if names[1:] else ")")


def _refuse(root: Path, problems: Sequence[str]) -> None:
    if not problems:
        return
    lines = [f"{root} has {len(problems)} problem{'s' if len(problems) > 1 else ''}:"]
    lines += [f"  {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        lines.append(f"  ... and {len(problems) - _SHOWN} more")
    raise InputError("\n".join(lines))
