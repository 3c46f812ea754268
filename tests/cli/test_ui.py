"""`ui`: a server that does not come up says why."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from infra.errors import StoreError
from sweep.cli.ui_verb import await_server


def test_a_server_that_ends_as_it_starts_is_told_with_its_last_words() -> None:
    with tempfile.TemporaryFile() as said:
        ends = [sys.executable, "-c", "raise SystemExit('starting\\nno such database')"]
        with (
            subprocess.Popen(ends, stderr=said) as server,
            pytest.raises(StoreError, match=r"code 1 as it started: no such database$"),
        ):
            await_server(server, "http://127.0.0.1:1", said)
