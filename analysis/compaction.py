"""Score tables of a sweep, compacted: one layout and matrices of scores per benchmark.

Thousands of small objects are read once, and never again: what all models share is one layout
object, and their scores lie in parts of up to `PART_TRIALS` trials, under the names of their
content. New trials add parts; small parts are joined; a trial whose scores were made anew has
another member key and is read again.

Invariant: a compacted score is the stored score to the bit; losing every part costs time only.
Compacted objects live under `tables/<sweep id>/<benchmark>/` in the sweep's store.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.layouts import LAYOUT_SCHEMA, Block, Layout, Layouts, Scored
from infra.errors import MissingObjectError, StoreError
from infra.object_store import ObjectStore

PART_TRIALS = 256
"""Trials in a part: 20 MB for 5,000 pairs, so that parts stream through little memory."""

READERS = 8
"""Score tables fetched at once: what is hidden is the latency of an object store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A trial's place in a compaction."""

    identity: str
    key: str
    """Changes when the trial's scores may have: of model and evaluation."""


@dataclass(kw_only=True)
class Compaction:
    """The compacted scores of a sweep on one benchmark."""

    store: ObjectStore
    prefix: str
    layouts: dict[str, Layout] = field(default_factory=dict)
    """By digest."""
    held: dict[str, str] = field(default_factory=dict)
    """Part that holds a member, by member key."""
    layout_of: dict[str, str] = field(default_factory=dict)
    """Digest of a part's layout, by part."""
    absent: set[str] = field(default_factory=set)
    """Member keys of trials without a score table."""
    loose: list[Block] = field(default_factory=list)
    """Blocks that could not be written; the store was full or read-only."""

    def blocks(self, members: Sequence[Member]) -> Iterator[Block]:
        """The members' scores, part by part; those without scores are left out."""
        wanted = {member.key for member in members}
        gone: set[str] = set()
        for part in dict.fromkeys(self.held[key] for key in wanted if key in self.held):
            mine = {key for key in wanted if self.held.get(key) == part}
            try:
                block = self.read_part(part)
            except MissingObjectError:
                gone |= mine  # another report has joined the part with others meanwhile
            else:
                yield _rows(block, mine)
        if gone:
            yield from self._found_again(gone)
        for block in self.loose:
            yield _rows(block, wanted)

    def layouts_of(self, members: Sequence[Member]) -> list[Layout]:
        """Layouts that some of the members were scored on."""
        parts = {self.held[member.key] for member in members if member.key in self.held}
        digests = [self.layout_of[part] for part in sorted(parts)]
        digests += [block.layout.digest for block in self.loose]
        return [self.layouts[digest] for digest in dict.fromkeys(digests)]

    def _found_again(self, keys: set[str]) -> Iterator[Block]:
        now = _opened(self.store, self.prefix)
        if not keys <= now.held.keys():
            raise StoreError(
                f"compacted scores below {self.prefix} vanished while they were read; run the "
                "command again, which makes them anew"
            )
        for part in dict.fromkeys(now.held[key] for key in keys):
            yield _rows(now.read_part(part), {key for key in keys if now.held[key] == part})

    def read_part(self, part: str) -> Block:
        """A part as it is stored."""
        return _read_part(self.store.read(part), self.layouts[self.layout_of[part]])


def compact(
    store: ObjectStore,
    prefix: str,
    members: Sequence[Member],
    read: Callable[[Member], pa.Table | None],
) -> Compaction:
    """Bring a benchmark's compaction up to date with a sweep's trials.

    Args:
        store: Gets the compacted objects.
        prefix: Of their keys, without a slash at the end.
        members: All trials of interest.
        read: A member's score table; none when it has none. Called from several threads.

    Raises:
        StoreError: If objects cannot be read; a store that cannot be written is put up with.
    """
    found = _opened(store, prefix)
    new = [member for member in members if member.key not in found.held]
    layouts = Layouts(found.layouts.values())
    waiting: dict[str, list[tuple[Member, Scored]]] = {}
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(new), PART_TRIALS):
            batch = new[start : start + PART_TRIALS]
            for member, table in zip(batch, pool.map(read, batch), strict=True):
                if table is None or not table.num_rows:
                    found.absent.add(member.key)
                    continue
                scored = layouts.cut(table)
                found.layouts.setdefault(scored.layout.digest, scored.layout)
                waiting.setdefault(scored.layout.digest, []).append((member, scored))
            for digest, ready in waiting.items():
                if len(ready) >= PART_TRIALS:
                    _add(found, digest, ready)
                    waiting[digest] = []
    for digest, ready in waiting.items():
        if ready:
            _add(found, digest, ready)
    return found


def _opened(store: ObjectStore, prefix: str) -> Compaction:
    found = Compaction(store=store, prefix=prefix)
    keys = dict.fromkeys(store.keys(f"{prefix}/"))
    for key in keys:
        name = key.removeprefix(f"{prefix}/")
        if name.startswith("layout-"):
            rows = pq.read_table(io.BytesIO(store.read(key))).cast(LAYOUT_SCHEMA)
            digest = name.removeprefix("layout-").removesuffix(".parquet")
            found.layouts[digest] = Layout(digest=digest, rows=rows.combine_chunks())
    for key in keys:
        digest, _, name = key.removeprefix(f"{prefix}/").partition("/")
        part = key.removesuffix(".json") + ".parquet"
        if digest not in found.layouts or not name.endswith(".json") or part not in keys:
            continue
        with suppress(MissingObjectError):  # another report has joined the part meanwhile
            listed = json.loads(store.read(key))
            found.layout_of[part] = digest
            for member in listed:
                found.held.setdefault(member, part)
    return found


def _add(found: Compaction, digest: str, ready: list[tuple[Member, Scored]]) -> None:
    """Write members as a part, joined with a part that has room for them."""
    layout = found.layouts[digest]
    block = Block(
        layout=layout,
        keys=tuple(member.key for member, _ in ready),
        identities=tuple(member.identity for member, _ in ready),
        scores=np.array([scored.scores for _, scored in ready]),
    )
    small = _with_room(found, digest, PART_TRIALS - len(ready))
    try:
        whole = _joined([*map(found.read_part, small), block])
    except MissingObjectError:
        small, whole = [], block
    name = hashlib.sha256("\n".join(whole.keys).encode()).hexdigest()[:24]
    part = f"{found.prefix}/{digest}/{name}.parquet"
    try:
        layout_key = f"{found.prefix}/layout-{digest}.parquet"
        if not found.store.exists(layout_key):
            found.store.write(layout_key, _parquet(layout.rows))
        found.store.write(part, _part(whole))
        # Read before the part itself; written after it, so that a part it names is whole.
        found.store.write(_list_key(part), json.dumps(whole.keys).encode())
    except StoreError:
        found.loose.append(block)
        return
    found.layout_of[part] = digest
    found.held |= dict.fromkeys(whole.keys, part)
    for old in small:
        if old != part:
            found.store.delete(_list_key(old))
            found.store.delete(old)


def _list_key(part: str) -> str:
    return part.removesuffix(".parquet") + ".json"


def _joined(blocks: Sequence[Block]) -> Block:
    return Block(
        layout=blocks[0].layout,
        keys=tuple(key for block in blocks for key in block.keys),
        identities=tuple(name for block in blocks for name in block.identities),
        scores=np.concatenate([block.scores for block in blocks]),
    )


def _rows(block: Block, wanted: set[str]) -> Block:
    rows = [row for row, key in enumerate(block.keys) if key in wanted]
    if len(rows) == len(block.keys):
        return block
    return Block(
        layout=block.layout,
        keys=tuple(block.keys[row] for row in rows),
        identities=tuple(block.identities[row] for row in rows),
        scores=block.scores[rows],
    )


def _with_room(found: Compaction, digest: str, room: int) -> list[str]:
    sizes: dict[str, int] = {}
    for part in found.held.values():
        if found.layout_of[part] == digest:
            sizes[part] = sizes.get(part, 0) + 1
    joined = []
    for part, size in sorted(sizes.items(), key=lambda entry: entry[1]):
        if size <= room:
            joined.append(part)
            room -= size
    return joined


def _part(block: Block) -> bytes:
    scores = pa.FixedSizeListArray.from_arrays(
        pa.array(block.scores.reshape(-1)), block.scores.shape[1]
    )
    names = {"member": pa.array(block.keys), "identity": pa.array(block.identities)}
    return _parquet(pa.table(names | {"scores": scores}))


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    # Scores are noise in their last digits: a stronger codec takes minutes and saves a tenth.
    pq.write_table(table, sink, compression="lz4", use_dictionary=False)
    return sink.getvalue()


def _read_part(data: bytes, layout: Layout) -> Block:
    table = pq.read_table(io.BytesIO(data)).combine_chunks()
    scores = np.concatenate([chunk.flatten().to_numpy() for chunk in table["scores"].chunks])
    return Block(
        layout=layout,
        keys=tuple(table["member"].to_pylist()),
        identities=tuple(table["identity"].to_pylist()),
        scores=scores.reshape(table.num_rows, layout.rows.num_rows),
    )
