"""Every error the project raises on purpose.

The tree, by what the reader can do about it::

    * RmsweepError
      x InputError            what the user gave is wrong; change it (exit 2)
        + SpecError           a sweep file or trainer config; names every problem in it
        + DataError           a data source or benchmark cannot be used
        + BackboneError       a backbone is unknown, or its path holds no model
        + MissingError        a sweep, trial, file or object that does not exist
        + BusyError           another live driver holds what was asked for
      x StoreError            object store, ledger or tracking server; retrying may help (exit 1)
        + OutageError         a service is away or overwhelmed; asking again soon helps
        + DiskFullError       no space left where the store or ledger lives
        + MissingObjectError  a key the object store does not hold
        + CorruptObjectError  an object whose digest is not the one that was recorded
        + SchemaError         a ledger written by a newer version (exit 2)
      x TrialFailure          one trial died; the sweep goes on
        + DivergedTrial       loss or gradient norm stopped being finite
        + OutOfMemoryTrial    the trial does not fit its devices
        + DataTrialFailure    the trial's data could not be used
        + DiskFullTrial       no space is left on its machine
        + PreemptedTrial      the machine was taken away
        + CommunicationTrial  a rank vanished or a collective timed out
        + DamagedTrial        no checkpoint it could go on from is whole
        + BugTrial            anything else: our code or the user's
      x BudgetExhausted       the sweep may spend no more (exit 1)

Messages say what was expected, what came, and what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass


class RmsweepError(Exception):
    """Root of all deliberate errors: printed as text, never as a traceback."""

    exit_code = 1


class InputError(RmsweepError):
    """What the user gave is wrong."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file: where, what was expected, what came."""

    path: str
    """Dotted path inside the file, such as `axes.head.layers`."""
    message: str
    """Expected, came, and what to do."""
    line: int | None = None
    """Line in the file, from 1."""
    file: str | None = None
    """The file, where it is not the one that was named."""

    def __str__(self) -> str:
        where = f"line {self.line}, " if self.line is not None else ""
        where = f"{self.file} {where}" if self.file is not None else where
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class SpecError(InputError):
    """A sweep file or trainer config is wrong; carries every problem at once."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{source} has {count} problem{'s' if count != 1 else ''}:"]
        lines += [f"  {problem}" for problem in self.problems]
        super().__init__("\n".join(lines))


class DataError(InputError):
    """A data source or benchmark cannot be used."""


class BackboneError(InputError):
    """A backbone is unknown, or its path holds no model."""


class MissingError(InputError):
    """Something was named that does not exist."""


class BusyError(InputError):
    """Another live driver holds what was asked for."""


class StoreError(RmsweepError):
    """The object store, the ledger or the tracking server refused; retrying may help."""


class OutageError(StoreError):
    """A service did not answer, or had too much to do."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds the service asked to be left alone; None when it did not say."""


class DiskFullError(StoreError):
    """No space is left where the store or the ledger lives."""


class MissingObjectError(StoreError):
    """The object store holds no such key."""


class CorruptObjectError(StoreError):
    """An object's digest is not the one that was recorded."""


class SchemaError(StoreError):
    """The ledger was written by a newer version of this project: no retry helps."""

    exit_code = 2


class TrialFailure(RmsweepError):  # noqa: N818 -- the word of the design
    """One trial died; the sweep goes on."""

    kind = "bug"


class DivergedTrial(TrialFailure):
    """Loss or gradient norm stopped being finite."""

    kind = "diverged"


class OutOfMemoryTrial(TrialFailure):
    """The trial does not fit on its devices."""

    kind = "out_of_memory"


class DataTrialFailure(TrialFailure):
    """The trial's data could not be used."""

    kind = "data"
    exit_code = 2


class DiskFullTrial(TrialFailure):
    """No space is left on the machine it runs on."""

    kind = "disk_full"


class PreemptedTrial(TrialFailure):
    """The machine was taken away."""

    kind = "preempted"


class CommunicationTrial(TrialFailure):
    """A rank vanished or a collective timed out."""

    kind = "communication"


class DamagedTrial(TrialFailure):
    """None of the checkpoints a trial was to go on from is whole."""

    kind = "damaged"


class OtherLayoutTrial(DamagedTrial):
    """The checkpoints a trial was to go on from are of other ranks, or of another ZeRO stage."""


class BugTrial(TrialFailure):
    """Anything else: a bug of ours or of the user's extension."""

    kind = "bug"


class BudgetExhausted(RmsweepError):  # noqa: N818 -- a limit, not a mistake
    """The sweep may spend no more."""


NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_SPACE_WORDS = ("no space left on device", "disk quota exceeded")


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that a disk is full, itself or by what it came of."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DiskFullError | DiskFullTrial):
            return True
        if isinstance(seen, OSError) and seen.errno in NO_SPACE:
            return True
        # Libraries that are not written in Python keep the words alone.
        if any(words in str(seen).lower() for words in _NO_SPACE_WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
