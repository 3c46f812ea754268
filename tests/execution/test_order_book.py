"""How long an order that was to stop may still take."""

from __future__ import annotations

from pathlib import Path

from sweep.engine.fold import NOTED_KIND
from sweep.execution.order_book import OpenOrder, OrderBook
from sweep.execution.orders import TrialNews
from sweep.execution.patience import Patience
from sweep.records.ledger import Ledger
from sweep.records.lifecycle import TrialState
from sweep.replay.working import SimulatedClock
from tests.records.rows import TTL, identity_of, register, report, stranger
from trainer.reporting import TrialReport

SWEEP = "head-1a2b3c4d"
PATIENCE = Patience(grace=20.0, silence=1000.0)


def begun(ledger: Ledger, clock: SimulatedClock) -> tuple[OrderBook, OpenOrder]:
    """A book with one order that was heard and is to stop."""
    register(ledger, SWEEP, count=1)
    attempt = ledger.claim(identity_of(0), SWEEP, stranger(), TTL)
    assert attempt is not None
    book = OrderBook(ledger, clock=clock)
    book.add(attempt, [])
    order = book.get(attempt.attempt_id)
    assert order is not None
    book.take_in(news(order))
    book.stop(order)
    return book, order


def news(order: OpenOrder, said: TrialReport | None = None) -> TrialNews:
    return TrialNews(attempt=order.attempt_id, node="here", report=said)


def test_an_order_that_says_nothing_is_overdue_after_half_of_the_grace(tmp_path: Path) -> None:
    clock = SimulatedClock(100.0)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        book, order = begun(ledger, clock)
        clock.now += 9.0
        book.take_in(news(order))
        assert book.close_overdue(PATIENCE) == []

        clock.now += 2.0

        assert book.close_overdue(PATIENCE) == [order]
        (trial,) = ledger.trials(SWEEP)
        assert trial.state is TrialState.PAUSED


def test_an_order_that_writes_its_checkpoint_has_the_whole_grace_and_not_more(
    tmp_path: Path,
) -> None:
    clock = SimulatedClock(100.0)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        book, order = begun(ledger, clock)
        clock.now += 9.0
        book.take_in(news(order, report(7)))
        clock.now += 10.0
        book.take_in(news(order, report(8)))
        assert book.close_overdue(PATIENCE) == []

        clock.now += 2.0

        assert book.close_overdue(PATIENCE) == [order]


def test_what_an_attempt_notes_besides_figures_is_in_the_log_of_decisions(tmp_path: Path) -> None:
    clock = SimulatedClock(100.0)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        book, order = begun(ledger, clock)
        said = report(7).model_copy(update={"note": "the checkpoint at step 9 was refused"})

        book.take_in(news(order, said))

        (noted,) = [each for each in ledger.decisions(SWEEP) if each.kind == NOTED_KIND]
        assert noted.payload == {"identity": identity_of(0), "note": said.note}
