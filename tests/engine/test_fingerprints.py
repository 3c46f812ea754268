"""The same bug is told from another of its kind, whatever it happened to."""

from __future__ import annotations

import pytest

from infra.errors import BugTrial
from sweep.engine.fingerprints import fingerprint
from sweep.execution.listening import to_fault
from trainer.gangs.rank_child import to_failure


def deep(levels: int) -> None:
    if levels:
        deep(levels - 1)
    raise KeyError("x")


def look_up(key: str) -> None:
    dict.fromkeys("ab")[key]


def build(value: str) -> None:
    int(value)


def as_told(function: object, *arguments: object) -> str:
    """What a rank's failure becomes on its way to the ledger."""
    assert callable(function)
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- any
        function(*arguments)
    return to_fault(to_failure(caught.value).to_error(0)).message


def test_one_bug_is_the_same_for_other_values_and_another_is_not() -> None:
    first = fingerprint(as_told(look_up, "x"))

    assert first == "KeyError in test_fingerprints.py:look_up"
    assert fingerprint(as_told(look_up, "y")) == first
    assert fingerprint(as_told(build, "x")) == "ValueError in test_fingerprints.py:build"


def test_our_own_frame_is_kept_however_deep_a_vendor_fails_below_it() -> None:
    frames = [f'  File "/v/site-packages/torch/{n}.py", line 1, in f{n}\n    x()' for n in range(9)]
    ours = '  File "/r/trainer/model/head.py", line 7, in build'
    error = BugTrial("it broke")
    error.add_note("\n".join(["rank 0:", ours, "    y()", *frames, "RuntimeError: shapes 3 and 4"]))

    assert fingerprint(to_fault(error).message) == "RuntimeError in head.py:build"


def test_without_a_traceback_numbers_do_not_tell_failures_apart() -> None:
    assert fingerprint("row 17 has no image") == fingerprint("row 4 has no image")
    assert fingerprint("row 17 has no image") != fingerprint("row 17 has no prompt")
    assert fingerprint("") == ""
