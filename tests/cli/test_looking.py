"""Who looks again and again waits for what is away, but not for ever."""

from __future__ import annotations

import pytest

from infra.errors import StoreError
from sweep.cli.looking import Looking


def away() -> int:
    raise StoreError("the ledger does not answer")


def test_what_is_away_is_looked_at_again_with_a_warning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    looking = Looking(600.0)
    looks = (away, away, lambda: 3, away)

    assert [looking.at(look) for look in looks] == [None, None, 3, None]
    # Once for each of the two outages.
    assert capsys.readouterr().err.count("the ledger does not answer; looking again") == 2


def test_what_stays_away_for_too_long_is_given_up() -> None:
    with pytest.raises(StoreError, match="does not answer"):
        Looking(-1.0).at(away)
