"""Objects asked for past botocore's operations: the same request, and the same object."""

from __future__ import annotations

import boto3.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from infra.s3_gets import Gets
from tests.infra.s3_answers import answering


@pytest.mark.parametrize(
    ("style", "before"),
    [
        ("virtual", "http://rewards.s3.eu-west-1.amazonaws.com"),
        ("path", "http://s3.eu-west-1.amazonaws.com/rewards"),
    ],
)
def test_what_we_ask_for_ourselves_is_asked_for_as_botocore_does(
    monkeypatch: pytest.MonkeyPatch, style: str, before: str
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "tester")
    asked = []
    with answering() as answers:
        answers.body = b"data"
        monkeypatch.setenv("HTTP_PROXY", answers.address)
        client = boto3.session.Session().client(
            "s3",
            region_name="eu-west-1",
            endpoint_url="http://s3.eu-west-1.amazonaws.com",
            config=Config(s3={"addressing_style": style}, user_agent="rmsweep"),
        )
        gets = Gets(client)
        for _ in range(2):
            answer = gets.get({"Bucket": "rewards", "Key": "x/a/b c+é%~"})
            assert answer["Body"].read() == b"data"
            target, headers = answers.last
            scope, _, signed = headers.pop("Authorization").partition(", SignedHeaders=")
            asked.append((target, scope, headers, signed))

    (target, scope, theirs, _), (own_target, own_scope, ours, signed) = asked
    assert target == own_target == f"{before}/x/a/b%20c%2B%C3%A9%25~"
    assert scope.startswith("AWS4-HMAC-SHA256 Credential=tester/")
    assert scope.endswith("/eu-west-1/s3/aws4_request")
    assert own_scope.endswith("/eu-west-1/s3/aws4_request")
    assert "x-amz-checksum-mode" in signed
    assert "x-amz-security-token" in signed
    changing = {"X-Amz-Date", "amz-sdk-invocation-id", "amz-sdk-request"}
    assert {name: text for name, text in theirs.items() if name not in changing} == {
        name: text for name, text in ours.items() if name not in changing
    }
    # Which tells that the second one was ours.
    assert theirs.keys() - ours.keys() == {"amz-sdk-invocation-id", "amz-sdk-request"}


def test_without_a_key_to_sign_with_botocore_asks_every_time() -> None:
    with answering() as answers:
        answers.body = b"data"
        client = boto3.session.Session().client(
            "s3",
            region_name="us-east-1",
            endpoint_url=answers.address,
            config=Config(signature_version=UNSIGNED, s3={"addressing_style": "path"}),
        )
        gets = Gets(client)
        for _ in range(2):
            assert gets.get({"Bucket": "b", "Key": "k"})["Body"].read() == b"data"
            assert "amz-sdk-request" in answers.last[1]
