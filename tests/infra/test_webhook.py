"""Messages to a real web server on loopback, well and badly behaved."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from infra.errors import SpecError
from infra.settings import load_settings
from infra.webhook import Webhook
from tests.webhook_receiver import SECRET, Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


def test_messages_arrive_in_the_order_they_were_given(receiver: Receiver) -> None:
    webhook = Webhook(receiver.address)

    for number in range(5):
        webhook.send({"text": f"message {number}"})

    assert webhook.close(20)
    assert [message["text"][-1] for message in receiver.messages] == list("01234")
    assert receiver.paths[0].startswith(f"/services/{SECRET}")


def test_a_receiver_that_is_overloaded_is_asked_again(receiver: Receiver) -> None:
    receiver.answers = [503, 429]
    webhook = Webhook(receiver.address, pause_seconds=0.01)

    webhook.send({"text": "a"})

    assert webhook.close(20)
    assert [message["text"] for message in receiver.messages] == ["a"]


@pytest.mark.parametrize("status", [404, 302], ids=["gone", "sent-elsewhere"])
def test_a_receiver_that_refuses_is_not_asked_again(receiver: Receiver, status: int) -> None:
    receiver.answers = [status]
    webhook = Webhook(receiver.address, pause_seconds=0.01)

    webhook.send({"text": "a"})
    webhook.send({"text": "b"})

    assert not webhook.close(20)
    assert [message["text"] for message in receiver.messages] == ["b"]
    assert all("elsewhere" not in path for path in receiver.paths)


def test_a_receiver_that_never_answers_holds_nobody_up(receiver: Receiver) -> None:
    receiver.answers = [0] * 10
    webhook = Webhook(receiver.address, timeout_seconds=30)

    for _ in range(500):
        webhook.send({"text": "a"})

    assert not webhook.close(0.1)
    assert webhook.undelivered >= 390
    _let_go(receiver)


def _let_go(receiver: Receiver) -> None:
    """Have a held thread tell of its message here, and not in the log of the next test."""
    receiver.hold.set()
    for thread in threading.enumerate():
        if thread.name == "webhook":
            thread.join(20)


def test_a_message_put_while_the_sender_finds_nothing_is_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()

    class Late(queue.Queue[object]):
        def get(self, block: bool = True, timeout: float | None = None) -> object:
            looked.set()
            return super().get(block, timeout)

        def put_nowait(self, item: object) -> None:
            looked.clear()
            assert looked.wait(20)  # the sender found nothing, and looks again
            super().put_nowait(item)

    monkeypatch.setattr(queue, "Queue", Late)
    receiver.answers = [0] * 3
    webhook = Webhook(receiver.address, timeout_seconds=30)

    webhook.send({"text": "a"})

    assert not webhook.close(0.1)
    _let_go(receiver)


def test_the_address_is_in_no_message_log_or_error(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [500] * 3
    nowhere = SecretStr(f"http://127.0.0.1:1/{SECRET}")
    malformed = SecretStr(f"http://127.0.0.1:1/{SECRET} \n")
    webhooks = [
        Webhook(each, pause_seconds=0.01) for each in (receiver.address, nowhere, malformed)
    ]

    with caplog.at_level(logging.DEBUG):
        for webhook in webhooks:
            webhook.send({"text": "a"})
            webhook.close(20)

    assert len(caplog.records) == 3
    assert SECRET not in caplog.text
    assert all(SECRET not in f"{webhook!r} {webhook.shown}" for webhook in webhooks)
    assert webhooks[0].shown == "http://127.0.0.1/***"


def test_the_setting_is_a_secret_and_a_wrong_one_is_not_quoted() -> None:
    settings = load_settings({"RMSWEEP_WEBHOOK": f"https://hooks.example/{SECRET}"})
    assert settings.webhook is not None
    assert settings.webhook.get_secret_value().endswith(SECRET)
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert SECRET not in shown

    with pytest.raises(SpecError, match="RMSWEEP_WEBHOOK: expected http") as caught:
        load_settings({"RMSWEEP_WEBHOOK": f"ftp://{SECRET}"})
    assert SECRET not in str(caught.value)
