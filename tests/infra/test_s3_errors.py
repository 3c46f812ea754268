"""What S3 can say, and what the user hears of it; damage on the way is noticed."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from infra.errors import CorruptObjectError, MissingObjectError, OutageError, StoreError
from infra.s3_store import S3Store
from tests.infra.s3_answers import Answers, answering

SECRET = "not-for-anybodys-eyes"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with answering() as answers:
        monkeypatch.setenv("RMSWEEP_S3_ENDPOINT", answers.address)
        yield answers


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "ExpiredToken", "have expired .* renew them: `aws sso login`"),
        (403, "InvalidAccessKeyId", "does not know these credentials"),
        (
            403,
            "AccessDenied",
            r"may not do that here \(PutObject: AccessDenied\); a sweep needs to",
        ),
        (404, "NoSuchBucket", "there is no bucket 'b'; make it first"),
        (409, "SomethingNew", "refused 'k': SomethingNew said so"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_not_an_outage(
    answers: Answers, status: int, code: str, expected: str
) -> None:
    answers.refuse(status, code)

    with pytest.raises(StoreError, match=expected) as caught:
        S3Store("s3://b/x").write("k", b"data")
    assert not isinstance(caught.value, OutageError | MissingObjectError)
    assert SECRET not in str(caught.value)
    assert answers.asked == 1


@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_is_asked_again_and_then_an_outage(
    answers: Answers, status: int
) -> None:
    answers.refuse(status, "InternalError", Retry_After="7")

    with pytest.raises(OutageError, match="InternalError") as caught:
        S3Store("s3://b/x").write("k", b"data")
    assert caught.value.retry_after == 7.0
    assert answers.asked == 4


def test_an_upload_in_parts_is_refused_in_the_same_words(answers: Answers, tmp_path: Path) -> None:
    answers.refuse(403, "AccessDenied")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(17 * 2**20)

    with pytest.raises(StoreError, match="may not do that here"):
        S3Store("s3://b/x").upload(tmp_path / "large", "k")


def test_damage_on_the_way_is_noticed_and_leaves_no_file(answers: Answers, tmp_path: Path) -> None:
    digest = base64.b64encode(zlib.crc32(b"as it was sent").to_bytes(4, "big")).decode()
    answers.headers = {"x-amz-checksum-crc32": digest, "ETag": '"1"'}
    answers.body = b"as it was sent"
    store = S3Store("s3://b/x")
    store.download("k", tmp_path / "whole")
    answers.body = b"as it wAs sent"

    with pytest.raises(CorruptObjectError, match="k' came damaged"):
        store.download("k", tmp_path / "damaged")
    with pytest.raises(CorruptObjectError, match="k' came damaged"):
        store.read("k")
    assert [path.name for path in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("vendors", [ConnectTimeoutError, ReadTimeoutError])
def test_a_server_that_is_silent_is_an_outage_which_a_training_waits_for(
    answers: Answers, vendors: Callable[..., Exception]
) -> None:
    store = S3Store("s3://b/x")

    with pytest.raises(OutageError, match="failed on 'k'"), store._translated("k"):
        raise vendors(endpoint_url=answers.address)  # they are OSErrors as well


@pytest.mark.parametrize(
    ("status", "code", "expected", "asked"),
    [
        (400, "ExpiredToken", "have expired .* renew them: `aws sso login`", 2),
        (403, "AccessDenied", r"may not do that here \(GetObject: AccessDenied\)", 2),
        (404, "NoSuchKey", "holds no object 'k'", 2),
        (503, "SlowDown", "SlowDown", 5),
    ],
)
def test_reading_is_refused_in_the_same_words_once_a_way_is_known(
    answers: Answers, tmp_path: Path, status: int, code: str, expected: str, asked: int
) -> None:
    answers.body = b"data"
    store = S3Store("s3://b/x")
    assert store.read("k") == b"data"
    answers.refuse(status, code)

    for attempt in (lambda: store.read("k"), lambda: store.download("k", tmp_path / "file")):
        answers.asked = 0
        with pytest.raises(StoreError, match=expected) as caught:
            attempt()
        assert SECRET not in str(caught.value)
        assert answers.asked == asked  # by ourselves, and then by botocore
    assert not list(tmp_path.iterdir())
