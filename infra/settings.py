"""Settings of the machine, from `RMSWEEP_*`; nothing else in the project reads the environment.

What a sweep asks for is in its file; where this machine keeps things is here. Passwords inside
addresses are masked in `repr` and JSON.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import (
    PositiveInt,
    SecretStr,
    ValidationError,
    field_serializer,
    field_validator,
)

from infra.errors import Problem, SpecError
from infra.frozen import Frozen

PREFIX = "RMSWEEP_"
_PASSWORD = re.compile(
    # A user may hold an @ (`me@server:...`), a password a slash; a port before a path is neither.
    r"(?<=://)([^/:\[\s]*):(?:[^/\s]*|(?!\d+/)[^@\s]*)@|"
    r"(?<=[?&])((?:ssl)?password=|(?:access_)?token=|api_key=|secret=)[^&\s]*"
)

_COMMIT = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})(\+[0-9a-f]{64})?")
_TRACKING_KINDS = {"http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks"}


class Settings(Frozen):
    """Where this machine keeps things, and what it may use."""

    home: Path
    """Folder that holds what is not placed elsewhere."""
    ledger_url: str
    """`sqlite:///FILE` or `postgresql://USER@HOST/DATABASE`."""
    storage: str
    """Object store for sweeps that say `auto`: `file:FOLDER` or `s3://BUCKET/PREFIX`."""
    tracking_uri: str
    """MLflow server or database for sweeps that say `auto`."""
    artifact_uri: str
    """Where MLflow keeps artifacts when `tracking_uri` is a database; a server has its own."""
    cpus: PositiveInt | None = None
    """CPUs an embedded cluster may use; all of them when absent."""
    devices: PositiveInt | None = None
    """Devices that sweeps here are priced for and laid out on; this machine's when absent."""
    device: str | None = None
    """Their kind, such as `h100`; this machine's GPUs or CPUs when absent."""
    ray_address: str | None = None
    """Ray cluster to join; an embedded one is started when absent."""
    models: Path | None = None
    """Folder with local copies of hub models, as `<models>/<hub id>`."""
    webhook: SecretStr | None = None
    """Where sweeps tell how they go: `http(s)://HOST/...` that takes JSON; a secret."""
    s3_endpoint: str | None = None
    """Address of an S3 server that is not Amazon's; `AWS_ENDPOINT_URL_S3` is heeded as well."""
    s3_encryption: str | None = None
    """What S3 encrypts objects with: `AES256`, `aws:kms`, or `aws:kms=KEY`."""
    s3_checksums: bool = True
    """Send a CRC32 with every object and compare it when fetching; a few old servers know none."""

    commit: str | None = None
    """Commit of these sources where they lie without a repository, `COMMIT` or, with what was
    changed, `COMMIT+SHA256`; set by a submission and in images."""

    @field_validator("commit")
    @classmethod
    def _is_a_commit(cls, commit: str | None) -> str | None:
        if commit is not None and not _COMMIT.fullmatch(commit):
            raise ValueError(f"expected 40 or 64 hexadecimal digits, got {commit!r}")
        return commit

    @field_validator("tracking_uri")
    @classmethod
    def _is_no_file_store(cls, uri: str) -> str:
        if not is_tracking_address(uri):
            raise ValueError(
                "expected http(s)://SERVER, sqlite:///FILE or another database MLflow can use; it "
                f"has given up plain folders, got one that starts with {uri.partition(':')[0]!r}"
            )
        return uri

    @field_validator("models")
    @classmethod
    def _is_a_folder(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            raise ValueError(f"expected an existing folder, got {str(folder)!r}")
        return folder

    @field_validator("s3_encryption")
    @classmethod
    def _is_an_encryption(cls, method: str | None) -> str | None:
        name, equals, key = (method or "AES256").partition("=")
        if name not in ("AES256", "aws:kms") or (equals and (name == "AES256" or not key)):
            raise ValueError(f"expected AES256, aws:kms or aws:kms=KEY, got {method!r}")
        return method

    @field_validator("webhook")
    @classmethod
    def _is_a_web_address(cls, address: SecretStr | None) -> SecretStr | None:
        if address is not None:
            parts = urlsplit(address.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("expected http(s)://HOST/..., got something else")
        return address

    @field_serializer("ledger_url", "tracking_uri", "ray_address", "s3_endpoint", when_used="json")
    def _without_password(self, address: str | None) -> str | None:
        return None if address is None else masked(address)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, masked(value) if isinstance(value, str) else value


def is_tracking_address(uri: str) -> bool:
    """Whether MLflow can keep runs there, going by the kind of address alone."""
    kind, separator, _ = uri.partition("://")
    return bool(separator) and kind.partition("+")[0] in _TRACKING_KINDS


def masked(address: str) -> str:
    """An address without the password in it."""
    return _PASSWORD.sub(
        lambda found: f"{found[2]}***" if found[2] else f"{found[1]}:***@", address
    )


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings the environment asks for, defaults filled in; an empty value is none.

    Raises:
        SpecError: Naming every variable that is unknown or holds what it may not.
    """
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and value
    }
    problems = [_unknown(name) for name in given if name not in Settings.model_fields]
    home = Path(given.get("home", "~/.rmsweep")).expanduser().absolute()
    values: dict[str, Any] = {
        "ledger_url": f"sqlite:///{home}/ledger.db",
        "storage": f"file:{home}/store",
        "tracking_uri": f"sqlite:///{home}/mlflow.db",
        "artifact_uri": f"{home}/mlflow-artifacts",
    }
    values |= {name: value for name, value in given.items() if name in Settings.model_fields}
    values["home"] = home
    if "models" in values:
        values["models"] = Path(values["models"]).expanduser().absolute()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += [_problem(detail["loc"], detail["msg"]) for detail in error.errors()]
        raise SpecError("the environment", problems) from None  # its text may hold a password
    if problems:
        raise SpecError("the environment", problems)
    return settings


def _unknown(name: str) -> Problem:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=0.5)
    known = ", ".join(PREFIX + field.upper() for field in Settings.model_fields)
    hint = f"did you mean {PREFIX}{near[0].upper()}?" if near else f"there are {known}"
    return Problem(path=PREFIX + name.upper(), message=f"no such setting; {hint}")


def _problem(location: tuple[int | str, ...], message: str) -> Problem:
    name = PREFIX + str(location[0]).upper() if location else PREFIX
    return Problem(path=name, message=message.removeprefix("Value error, "))
