"""`Sender`: what a sweep was submitted from, to be compared with the machine it arrives on.

The project's own sources travel with a sweep and are what runs; another rmsweep installed on the
cluster is named, and never used.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from infra.frozen import Frozen
from infra.provenance import take_provenance

PACKAGES = ("sweep", "search_spaces", "trainer", "analysis", "infra")
"""The project's own, which travel."""
_OURS = "rmsweep"
_SHOWN = 12
"""Digits of a commit."""


class Sender(Frozen):
    """A machine's Python, packages and rmsweep."""

    python: str
    packages: dict[str, str]
    """Installed version by package, rmsweep's among them where it is installed."""
    code: str = ""
    """Commit of rmsweep's checkout, and what differs from it, as `Provenance.code`."""
    sources_sha256: str | None = None
    """Of rmsweep's own Python files; absent where it is not installed."""

    @classmethod
    def here(cls) -> Sender:
        """This machine, with the sources this process runs."""
        return cls._with(Path(__file__).resolve().parents[2])

    @classmethod
    def environment(cls) -> Sender:
        """This machine, with the rmsweep that is installed: not the one that travelled here."""
        return cls._with(_installed_root())

    @classmethod
    def _with(cls, root: Path | None) -> Sender:
        facts = take_provenance(checkout=None if root is None else root / PACKAGES[0])
        return cls(
            python=facts.python,
            packages=facts.packages,
            code="" if root is None else facts.code,
            sources_sha256=None if root is None else sources_digest(root),
        )

    def obstacles(self, here: Sender) -> list[str]:
        """Why the sweep cannot run here: other versions that do not work together, in words."""
        found = []
        if _minor(self.python) != _minor(here.python):
            found.append(_differ("Python", self.python, here.python))
        for name, mine in self._others():
            theirs = here.packages.get(name)
            if theirs is None:
                found.append(f"{name} {mine} is missing on the cluster")
            elif name == "ray" and mine != theirs:
                found.append(_differ("Ray", mine, theirs))
        return found

    def differences(self, here: Sender) -> list[str]:
        """What works, but is not the same: other versions may change a result's last digits."""
        found = [
            _differ(name, mine, here.packages[name])
            for name, mine in self._others()
            if name != "ray" and here.packages.get(name, mine) != mine
        ]
        if None not in (here.sources_sha256, self.sources_sha256) and (
            here.sources_sha256 != self.sources_sha256
        ):
            # Releases tell little: between two of them the version stays and the code does not.
            found.append(
                f"{_differ(_OURS, self._release(), here._release())}; "
                "the submitting machine's sources have travelled and are what runs"
            )
        return found

    def _others(self) -> Iterator[tuple[str, str]]:
        return ((name, version) for name, version in self.packages.items() if name != _OURS)

    def _release(self) -> str:
        """Version, commit and whether that was changed, as far as they are known."""
        told = self.packages.get(_OURS, "of no release")
        if not self.code:
            return f"{told} with sources {str(self.sources_sha256)[:_SHOWN]}"
        commit, changed, _ = self.code.partition("+")
        return f"{told} at commit {commit[:_SHOWN]}{', changed' if changed else ''}"


def sources_digest(root: Path) -> str:
    """SHA-256 of the names and contents of the project's Python files below a folder."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _installed_root() -> Path | None:
    """The folder with the installed project's packages; None where it is not installed."""
    try:
        distribution = importlib.metadata.distribution(_OURS)
    except importlib.metadata.PackageNotFoundError:
        return None
    # An editable installation has its packages elsewhere and says where (PEP 610).
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if origin.get("dir_info", {}).get("editable"):
        return Path(unquote(urlsplit(origin["url"]).path))
    return Path(str(distribution.locate_file("")))


def _minor(python: str) -> list[str]:
    return python.split(".")[:2]


def _differ(name: str, mine: str, theirs: str) -> str:
    return f"{name} is {mine} on the submitting machine and {theirs} on the cluster"
