"""Which failures are the same one: by what was raised, and where in our own code."""

from __future__ import annotations

import re

_FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)')
_RAISED = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?::|$)")
_OURS = re.compile(r"/(?:trainer|sweep|search_spaces|infra)/")
_INSTALLED = re.compile(r"/(?:site|dist)-packages/|/lib/python\d|^<")
_NUMBERS = re.compile(r"\d+")


def fingerprint(message: str) -> str:
    """Type of the exception and its deepest frame in our code, or in the user's.

    A vendor's frame says little: many mistakes end in the same one. Line numbers and values are
    left out. Without a traceback it is the first line, but for its numbers.
    """
    lines = message.strip().splitlines()
    frames = [found for line in lines if (found := _FRAME.match(line))]
    if not frames:
        return _NUMBERS.sub("#", lines[0]) if lines else ""
    own = [frame for frame in frames if is_own_frame(frame[0])]
    deepest = (own or frames)[-1]
    raised = [found["type"] for line in lines if (found := _RAISED.match(line))]
    where = f"{deepest['file'].rpartition('/')[2]}:{deepest['function']}"
    return f"{raised[-1] if raised else ''} in {where}"


def is_own_frame(line: str) -> bool:
    """Whether a line of a traceback names a frame of our code, or of the user's."""
    found = _FRAME.match(line)
    if found is None:
        return False
    return bool(_OURS.search(found["file"])) or not _INSTALLED.search(found["file"])
