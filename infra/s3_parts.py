"""An object of S3 fetched into a file: a large one in parts, each by a thread of its own.

The checksum the server has kept since the upload is compared whatever way it came: of the whole, or
of its parts where it was sent in parts.
"""

from __future__ import annotations

import base64
import os
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.errors import CorruptObjectError
from infra.s3_gets import Gets, Place

PART_BYTES = 16 * 2**20
"""Larger files go up and come down in parts of this size."""
PARTS_AT_ONCE = 4
CHUNK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the object, and its CRC32 as it came."""

    start: int
    size: int
    crc: int


def fetch(gets: Gets, place: Place, path: Path) -> None:
    """Write an object to a file, aside first.

    Raises:
        CorruptObjectError: If its checksum is another than the server's.
        ClientError: Or what else botocore raises.
    """
    aside = path.with_name(f".aside-{uuid.uuid4().hex}")
    file = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        answer = gets.get(place)
        size = int(answer["ContentLength"])
        with closing(answer["Body"]) as body:
            if size <= PART_BYTES:
                parts = [_take(body, file, 0, size)]
            else:
                parts = _fetch_parts(gets, place, file, answer)
        _compare(answer, parts, file, place["Key"])
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    finally:
        os.close(file)


def _fetch_parts(gets: Gets, place: Place, file: int, answer: dict[str, Any]) -> list[_Part]:
    """All parts of a large object: the first from the answer that is here, the others beside it."""
    size, tag = int(answer["ContentLength"]), answer["ETag"]

    def part(start: int) -> _Part:
        count = min(PART_BYTES, size - start)
        # Of the same object, should another take its place meanwhile.
        with closing(gets.part(place, start, count, tag)) as body:
            return _take(body, file, start, count)

    with ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="parts") as threads:
        rest = threads.map(part, range(PART_BYTES, size, PART_BYTES))
        first = _take(answer["Body"], file, 0, PART_BYTES)
        # The rest of the object is on its way in this answer, too, as far as buffers hold it.
        answer["Body"].close()
        return [first, *rest]


def _take(body: Any, file: int, start: int, size: int) -> _Part:  # noqa: ANN401 -- botocore has no types
    crc, taken = 0, 0
    while taken < size:
        chunk = body.read(min(CHUNK_BYTES, size - taken))
        if not chunk:
            break  # botocore raises by itself when less came than was announced
        crc = zlib.crc32(chunk, crc)
        os.pwrite(file, chunk, start + taken)
        taken += len(chunk)
    return _Part(start, taken, crc)


def _compare(answer: dict[str, Any], parts: list[_Part], file: int, key: str) -> None:
    """Hold what came against the server's checksum; one it does not keep proves nothing."""
    expected = answer.get("ChecksumCRC32")
    if sum(part.size for part in parts) != int(answer["ContentLength"]):
        raise CorruptObjectError(f"{key!r} came shorter than the server had said")
    if expected is None:
        return
    digest, _, count = expected.partition("-")
    if not count:
        found = parts[0].crc if len(parts) == 1 else _crc_of(file)
    elif int(count) == len(parts):
        found = zlib.crc32(b"".join(part.crc.to_bytes(4, "big") for part in parts))
    else:
        return  # sent in parts of another size by somebody else
    if base64.b64encode(found.to_bytes(4, "big")).decode() != digest:
        raise CorruptObjectError(
            f"{key!r} came damaged: its CRC32 is not the {digest} the server has kept; fetch it "
            "again, and if that does not help the object itself is damaged"
        )


def _crc_of(file: int) -> int:
    crc, at = 0, 0
    while chunk := os.pread(file, CHUNK_BYTES, at):
        crc, at = zlib.crc32(chunk, crc), at + len(chunk)
    return crc
