"""Tells a webhook what happens to a sweep while a driver runs it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from infra.settings import Settings
from infra.webhook import Webhook
from sweep.engine.notices import QUIET_SECONDS, Notice, NoticeBook
from sweep.engine.planning.plan import SweepPlan
from sweep.engine.progress import Progress, progress
from sweep.engine.view import SweepView
from sweep.records.lifecycle import ENDED_SWEEP_STATES, SweepState

CLOSING_SECONDS = 6.0
"""What a receiver may take for the last message before the driver leaves."""


class Notifier:
    """Notices of one sweep by one driver; does nothing where no webhook is set."""

    def __init__(self, plan: SweepPlan, settings: Settings) -> None:
        self._sweep_id = plan.sweep_id
        self._book = NoticeBook(plan.spec.notify)
        self._webhook = None if settings.webhook is None else Webhook(settings.webhook)
        self._view: SweepView | None = None

    def see(self, view: SweepView, figures: Progress | None = None) -> None:
        """Take in how the sweep stands, with its figures once in a while; returns at once."""
        self._view = view
        if self._webhook is not None and figures is not None:
            self._tell(self._book.see(figures, now=time.monotonic()))

    def ended(self, state: SweepState, reason: str) -> None:
        """Tell how the sweep ended; a driver that leaves it running tells nothing of that."""
        if self._webhook is None or self._view is None:
            return
        figures = progress(self._view)
        self._tell(self._book.see(figures, now=time.monotonic() + QUIET_SECONDS))
        if state in ENDED_SWEEP_STATES:
            self._tell(self._book.ended(state, reason, figures))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._webhook is not None:
            self._webhook.close(CLOSING_SECONDS)

    def _tell(self, notices: list[Notice]) -> None:
        assert self._webhook is not None
        for notice in notices:
            self._webhook.send(notice.to_json(self._sweep_id, time=time.time()))
