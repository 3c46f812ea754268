"""What S3 and its client say, as errors of ours that say what to do."""

from __future__ import annotations

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.exceptions import FlexibleChecksumError as ChecksumError

from infra.errors import (
    CorruptObjectError,
    MissingObjectError,
    OutageError,
    RmsweepError,
    StoreError,
)

_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_UNKNOWN_KEY = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"})
_DENIED = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled"})
_BUSY = frozenset({"SlowDown", "Throttling", "RequestTimeout", "RequestTimeTooSkewed"})
_SERVER_FAILED = 500
_TOO_MANY = 429
_RENEW = (
    "renew them: `aws sso login`, a new session token, or a role of this machine, which renews "
    "itself"
)
_GIVE_ONE = (
    "give this machine a role, a credentials file, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_VOUCH = "for an authority of your own set AWS_CA_BUNDLE to its certificate's file"
_UNREACHED = (
    ConnectionError,
    ConnectionClosedError,
    HTTPClientError,
    IncompleteReadError,
    ReadTimeoutError,
)


def as_ours(error: Exception, *, uri: str, bucket: str, key: str) -> RmsweepError:
    """The error to raise instead of a vendor's.

    Args:
        error: Of boto3 or botocore; one it was raised from says more and is taken instead.
        uri: The store's address.
        bucket: Its bucket.
        key: What was asked for.
    """
    inner = error.__cause__ or error.__context__
    if not isinstance(error, ClientError) and isinstance(inner, ClientError):
        error = inner
    if isinstance(error, ClientError):
        return _refusal(error, uri=uri, bucket=bucket, key=key)
    if isinstance(error, ChecksumError):
        return CorruptObjectError(f"{key!r} came damaged from {uri}: {error}")
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return StoreError(f"no credentials for {uri}: {error}; {_GIVE_ONE}")
    if isinstance(error, TokenRetrievalError | UnauthorizedSSOTokenError):
        return expired(uri, error)
    if isinstance(error, SSLError) and "certificate" in str(error).lower():
        return StoreError(f"the certificate of {uri} is not accepted: {error}; {_VOUCH}")
    if isinstance(error, _UNREACHED):
        return OutageError(f"{uri} failed on {key!r}: {error}")
    return StoreError(f"{uri} failed on {key!r}: {error}")


def expired(uri: str, why: object) -> StoreError:
    """Of credentials that were good once."""
    return StoreError(f"the credentials for {uri} have expired: {why}; {_RENEW}")


def _refusal(error: ClientError, *, uri: str, bucket: str, key: str) -> RmsweepError:
    answer = error.response.get("Error", {})
    code, text = str(answer.get("Code", "")), answer.get("Message", "")
    meta = error.response.get("ResponseMetadata", {})
    status = int(meta.get("HTTPStatusCode", 0))
    if code in _MISSING:
        return MissingObjectError(f"{uri} holds no object {key!r}")
    if code == "NoSuchBucket":
        return StoreError(f"there is no bucket {bucket!r}; make it first, or name another")
    if code in _EXPIRED:
        return StoreError(f"the credentials for {uri} have expired ({code}); {_RENEW}")
    if code in _UNKNOWN_KEY:
        return StoreError(f"{uri} refused {key!r}: it does not know these credentials ({code})")
    if code in _DENIED:
        return StoreError(
            f"{uri} refused {key!r}: these credentials may not do that here "
            f"({error.operation_name}: {code}); a sweep needs to list the bucket, and to get, put "
            "and delete objects below its prefix"
        )
    said = f"{uri} refused {key!r}: {code} {text}".rstrip()
    if code in _BUSY or status >= _SERVER_FAILED or status == _TOO_MANY:
        hint = str(meta.get("HTTPHeaders", {}).get("retry-after", ""))
        return OutageError(said, retry_after=float(hint) if hint.isdigit() else None)
    return StoreError(said)
