"""`Gets`: objects asked for at half of what botocore computes for any operation.

Invariant: what is sent is what botocore would send, to the same place with the same credentials,
and goes through its signer, connections, proxies and certificates. How such a request looks is
learnt from one that botocore made. Whatever is not answered with the object is asked for again by
its `get_object`, which retries, follows a bucket to its region, and has the words for what is
wrong.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.exceptions import BotoCoreError
from botocore.httpchecksum import Crc32Checksum, StreamingChecksumBody
from botocore.response import StreamingBody
from botocore.utils import percent_encode

Place = dict[str, str]
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/s3/aws4_request,")
"""How S3 is signed for with a key, and in it the region; other ways are left to botocore."""
_FOUND = 200


@dataclass(frozen=True, slots=True)
class _Way:
    """To the objects of a bucket, as botocore went it."""

    before_key: str
    region: str
    headers: dict[str, str]


class Gets:
    """Asks for the objects of one bucket, from any thread."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 -- boto3 has no types
        """Prepare.

        Args:
            client: Of S3. Its requests for objects are looked at from now on.
        """
        self._client = client
        self._way: _Way | None = None
        self._asking = threading.local()
        client.meta.events.register("before-send.s3.GetObject", self._learn)

    def get(self, place: Place) -> dict[str, Any]:
        """What `get_object` answers: `Body`, `ContentLength`, `ETag` and, if kept, `ChecksumCRC32`.

        Args:
            place: `Bucket` and `Key`.

        Raises:
            ClientError: Or what else botocore raises.
        """
        answer = None if self._way is None else self._quickly(self._way, place["Key"])
        if answer is not None:
            return answer
        self._asking.key = place["Key"]
        try:
            return dict(self._client.get_object(**place))
        finally:
            self._asking.key = None

    def part(self, place: Place, start: int, size: int, tag: str) -> StreamingBody:
        """A stretch of an object, in bytes; refused if another has taken the place of `tag`'s."""
        stretch = f"bytes={start}-{start + size - 1}"
        return self._client.get_object(**place, Range=stretch, IfMatch=tag)["Body"]

    def _learn(self, request: AWSPreparedRequest, **_: object) -> None:
        """Keep how botocore asks for the object this thread wants."""
        key = getattr(self._asking, "key", None)
        signed = _SIGNED.match(_text(request.headers.get("Authorization", "")))
        ending = "" if key is None else "/" + _quoted(key)
        if not ending or signed is None or not request.url.endswith(ending):
            return
        self._way = _Way(
            request.url.removesuffix(ending) + "/",
            signed[1],
            {
                name: _text(request.headers[name])
                for name in ("User-Agent", "x-amz-checksum-mode")
                if name in request.headers
            },
        )

    def _quickly(self, way: _Way, key: str) -> dict[str, Any] | None:
        """The answer, if it is the object."""
        request = AWSRequest("GET", way.before_key + _quoted(key), headers=way.headers)
        signer, connections = self._client._request_signer, self._client._endpoint.http_session
        try:
            # Credentials that are about to expire are renewed by asking for them.
            signer.get_auth_instance("s3", way.region, "s3v4").add_auth(request)
            headers = dict(request.headers.items())
            response = connections.send(
                AWSPreparedRequest("GET", request.url, headers, body=None, stream_output=True)
            )
        except BotoCoreError:
            return None
        headers = response.headers
        size, crc = headers.get("Content-Length"), headers.get("x-amz-checksum-crc32")
        if response.status_code != _FOUND or size is None:
            response.raw.drain_conn()  # so that the connection can be used again
            return None
        # The checksum of parts' checksums says nothing of a stream; it is compared part by part.
        body = (
            StreamingBody(response.raw, size)
            if crc is None or "-" in crc
            else StreamingChecksumBody(response.raw, size, Crc32Checksum(), crc)
        )
        return {
            "Body": body,
            "ContentLength": int(size),
            "ETag": headers.get("ETag"),
            "ChecksumCRC32": crc,
        }


def _quoted(key: str) -> str:
    return str(percent_encode(key, safe="/~"))


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
