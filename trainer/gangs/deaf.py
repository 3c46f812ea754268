"""Imported first by the server that ranks are forked from: Ctrl-C is for whoever asked for ranks.

Python's own server ignores it too, but only once everything heavy is imported; until then it died
of it, with a traceback on the user's terminal. Ranks are forked deaf.
"""

from __future__ import annotations

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
