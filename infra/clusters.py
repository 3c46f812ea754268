"""`ClusterEntry`: a Ray cluster to submit to, by name, and where the sweeps there keep things.

Invariant: nothing here is a secret. What is written down travels with every submission and is shown
by Ray to whoever may open its dashboard; passwords and keys are in the cluster's own environment.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from infra.errors import InputError, MissingError, Problem, SpecError
from infra.frozen import Frozen
from infra.settings import Settings, masked

FILE_NAME = "clusters.yaml"
"""Of the file with named clusters, in the machine's home."""
EXAMPLE = "{lab: {address: https://head:8265, ledger: postgresql://rmsweep@db/rmsweep}}"


class ClusterEntry(Frozen):
    """One cluster; what is absent is as on this machine."""

    address: str
    """Of the dashboard of its head, where Ray takes jobs: `http://HOST:8265`."""
    ledger: str | None = None
    """Ledger as the cluster reaches it, without a password."""
    storage: str | None = None
    """Object store for sweeps that say `auto`."""
    tracking: str | None = None
    """MLflow for sweeps that say `auto`, as the cluster reaches it."""
    s3_endpoint: str | None = None
    s3_encryption: str | None = None
    s3_checksums: bool = True
    models: str | None = None
    """Folder with copies of hub models, as the cluster's machines see it."""
    shared: tuple[str, ...] = ()
    """Folders every machine of the cluster sees under the same name; they outlive the head."""
    environment: Literal["auto", "image", "pip"] = "auto"
    """`image`: its machines have the packages; `pip`: Ray installs this machine's versions; `auto`:
    as `image` where the head has all packages, else as `pip`."""
    grows: bool = False
    """Machines are added when trials wait for them, so what does not fit now may fit then."""
    devices: Annotated[int, Field(ge=1)] | None = None
    """Devices to price sweeps for; those it has now when absent."""
    device: str | None = None
    """Their kind, such as `h100`, where Ray does not tell it."""
    driver_cpus: Annotated[float, Field(ge=0)] = 0.0
    """CPUs reserved for the driver; with 0 it runs on the head."""

    @field_validator("address")
    @classmethod
    def _is_a_dashboard(cls, address: str) -> str:
        scheme, _, rest = address.partition("://")
        if scheme not in ("http", "https") or not rest:
            raise ValueError(
                f"expected the head's dashboard, such as http://head:8265, got {masked(address)!r}"
            )
        return address.rstrip("/")

    @field_validator("ledger", "storage", "tracking", "s3_endpoint", "address")
    @classmethod
    def _holds_no_secret(cls, address: str | None) -> str | None:
        if address is not None and masked(address) != address:
            raise ValueError(
                f"{masked(address)} holds a password, which Ray would show to everybody on the "
                "cluster; leave it out and set PGPASSWORD, PGPASSFILE or "
                "MLFLOW_TRACKING_PASSWORD on the cluster's machines"
            )
        return address

    @field_validator("shared")
    @classmethod
    def _are_absolute(cls, folders: tuple[str, ...]) -> tuple[str, ...]:
        relative = [name for name in folders if not PurePosixPath(name).is_absolute()]
        if relative:
            raise ValueError(f"expected absolute folders, got {', '.join(relative)}")
        return folders

    def sees(self, path: str | Path) -> bool:
        """Whether every machine of the cluster sees this path."""
        return any(PurePosixPath(path).is_relative_to(folder) for folder in self.shared)


def find_cluster(named: str, settings: Settings) -> ClusterEntry:
    """The cluster at an address, or the one of this name in `<home>/clusters.yaml`.

    Places that are not given are those of this machine, so that both see the same sweeps.

    Raises:
        InputError: If there is none of this name, the file is wrong, or a place holds a password.
    """
    if "://" in named:
        given: Mapping[str, object] = {"address": named}
        source = f"cluster {masked(named)}"
    else:
        given, source = _named(named, settings.home / FILE_NAME)
    own = {
        "ledger": settings.ledger_url,
        "storage": settings.storage,
        "tracking": settings.tracking_uri,
        "s3_endpoint": settings.s3_endpoint,
        "s3_encryption": settings.s3_encryption,
        "s3_checksums": settings.s3_checksums,
    }
    try:
        return ClusterEntry.model_validate(own | dict(given))
    except ValidationError as error:
        raise SpecError(
            source,
            [
                Problem(
                    ".".join(str(part) for part in detail["loc"]),
                    detail["msg"].removeprefix("Value error, "),
                )
                for detail in error.errors()
            ],
        ) from None  # its text may hold a password


def environment_of(entry: ClusterEntry) -> dict[str, str]:
    """`RMSWEEP_*` settings under which the cluster's driver works.

    Raises:
        InputError: If the ledger or the store would be lost with the head.
    """
    assert entry.ledger is not None
    assert entry.storage is not None
    assert entry.tracking is not None
    _outlives_the_head(entry, "ledger", _sqlite_file(entry.ledger), "postgresql://USER@HOST/NAME")
    folder = None if entry.storage.startswith("s3://") else entry.storage.removeprefix("file:")
    _outlives_the_head(entry, "storage", folder, "s3://BUCKET/PREFIX")
    database = _sqlite_file(entry.tracking)
    _outlives_the_head(entry, "tracking", database, "http(s)://SERVER of MLflow")
    values = {
        "RMSWEEP_LEDGER_URL": entry.ledger,
        "RMSWEEP_STORAGE": entry.storage,
        "RMSWEEP_TRACKING_URI": entry.tracking,
        "RMSWEEP_S3_ENDPOINT": entry.s3_endpoint,
        "RMSWEEP_S3_ENCRYPTION": entry.s3_encryption,
        "RMSWEEP_S3_CHECKSUMS": None if entry.s3_checksums else "false",
        "RMSWEEP_MODELS": entry.models,
        "RMSWEEP_RAY_ADDRESS": "auto",
        "RMSWEEP_DEVICES": None if entry.devices is None else str(entry.devices),
        "RMSWEEP_DEVICE": entry.device,
    }
    if database is not None:
        values["RMSWEEP_ARTIFACT_URI"] = f"{Path(database).parent}/mlflow-artifacts"
    return {name: value for name, value in values.items() if value is not None}


def _outlives_the_head(entry: ClusterEntry, what: str, path: str | None, better: str) -> None:
    if path is None or entry.sees(path):
        return
    raise InputError(
        f"the {what} of a submitted sweep must outlive the cluster's head, {path} on one machine "
        f"does not; set {what} to {better} for this cluster in {FILE_NAME} (or the machine's "
        "RMSWEEP_* setting), or name the persistent folder it lies in under `shared`"
    )


def _sqlite_file(url: str) -> str | None:
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return parsed.database if parsed.get_backend_name() == "sqlite" else None


def _named(name: str, path: Path) -> tuple[Mapping[str, object], str]:
    if not path.is_file():
        raise MissingError(
            f"no cluster is called {name!r}: there is no {path}; write it as {EXAMPLE}, or give "
            "the address of a head such as http://head:8265"
        )
    try:
        known = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not readable as YAML: {error}") from error
    if not isinstance(known, dict) or not all(isinstance(one, dict) for one in known.values()):
        raise InputError(f"{path}: expected clusters by name, as {EXAMPLE}")
    if name not in known:
        near = difflib.get_close_matches(name, map(str, known), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(str, known))}"
        raise MissingError(f"no cluster is called {name!r} in {path}; {hint}")
    return known[name], f"cluster {name} in {path}"
