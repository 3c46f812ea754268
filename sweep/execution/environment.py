"""Which packages a submission finds on a cluster, and what Ray installs where some are missing.

The head is asked once per start of its cluster: a job of a second or two that lists what its Python
has. Where all is there, the machines' own environment is used as it is; another version there is
named by the supervisor. Where something is missing Ray installs this machine's versions, once per
machine and list of versions.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from pydantic import ValidationError

from infra.errors import InputError, MissingObjectError, StoreError
from infra.frozen import Frozen
from infra.object_store import LocalStore

if TYPE_CHECKING:
    from infra.clusters import ClusterEntry
    from sweep.execution.head import Head

PROJECT = "rmsweep"
FOLDER = "clusters"
"""In the machine's home: what clusters were found to have, a file for each start of one."""
_LISTING = (
    "import importlib.metadata as m, json, platform; "
    "print(json.dumps({'python': platform.python_version(), "
    # What an installation broken off has left has no name.
    "'packages': [d.metadata['Name'] for d in m.distributions() if d.metadata['Name']]}))"
)


class Found(Frozen):
    """What a cluster's own environment has."""

    python: str
    packages: frozenset[str]
    """Names as `packaging` compares them: in lower case, with hyphens."""


def pins_for(head: Head, home: Path) -> list[str]:
    """What Ray is to install for a submission; nothing where the machines have what it needs.

    Args:
        head: Of the cluster, whose entry may have decided already.
        home: This machine's, where the answer is kept as long as the cluster runs.

    Raises:
        InputError: If the cluster's Python is of another minor version, which no package mends.
        StoreError: If the head does not answer.
    """
    if head.entry.environment == "image":
        return []
    if head.entry.environment == "pip":
        return pinned_packages()
    found = _found_on(head, home)
    mine = platform.python_version()
    if mine.split(".")[:2] != found.python.split(".")[:2]:
        raise InputError(
            f"Python is {mine} on this machine and {found.python} on the cluster at "
            f"{head.entry.address}; both must be of one minor version"
        )
    return pinned_packages() if missing_from(found, head.entry) else []


def missing_from(found: Found, entry: ClusterEntry) -> list[str]:
    """Packages a sweep needs on this cluster and does not find there."""
    needed: set[str] = {canonicalize_name(one.name) for one in _asked_for("")}
    if (entry.ledger or "").startswith("postgresql"):
        needed |= {canonicalize_name(one.name) for one in _asked_for("postgresql")}
    return sorted(needed - found.packages)


def pinned_packages() -> list[str]:
    """This machine's version of every package the project asks for, optional ones if installed."""
    pins = set()
    for requirement in (*_asked_for(""), *_optional()):
        # A label such as `+cpu` names a build of this machine's, which no index has.
        version = Version(importlib.metadata.version(requirement.name)).public
        pins.add(f"{requirement.name}{_extras(requirement)}=={version}")
    return sorted(pins)


def _asked_for(extra: str) -> Iterator[Requirement]:
    """The project's dependencies, or those one of its extras adds."""
    for text in importlib.metadata.requires(PROJECT) or ():
        requirement = Requirement(text)
        if _is_asked(requirement, extra) and (not extra or not _is_asked(requirement, "")):
            yield requirement


def _is_asked(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _optional() -> Iterator[Requirement]:
    installed = {
        canonicalize_name(one.metadata["Name"])
        for one in importlib.metadata.distributions()
        if one.metadata["Name"]
    }
    for extra in importlib.metadata.metadata(PROJECT).get_all("Provides-Extra") or ():
        yield from (one for one in _asked_for(extra) if canonicalize_name(one.name) in installed)


def _found_on(head: Head, home: Path) -> Found:
    """What the head's Python has; asked once as long as the cluster runs."""
    start = hashlib.sha256(f"{head.entry.address} {head.session}".encode()).hexdigest()[:16]
    kept, name = LocalStore(home / FOLDER), f"{start}.json"
    # One that is damaged is as good as none, and two submissions at once write the same.
    with contextlib.suppress(MissingObjectError, ValidationError):
        return Found.model_validate_json(kept.read(name))
    found = _understood(head.answer_of_python(_LISTING), head.entry)
    kept.write(name, found.model_dump_json().encode())
    return found


def _understood(told: str, entry: ClusterEntry) -> Found:
    try:
        listed = json.loads(told)
        names = frozenset(canonicalize_name(name) for name in listed["packages"])
        return Found(python=listed["python"], packages=names)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StoreError(
            f"expected the cluster at {entry.address} to list its packages, it said "
            f"{told[:200]!r}; say `environment: image` or `environment: pip` of it"
        ) from error


def _extras(requirement: Requirement) -> str:
    return f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
