"""Where the machines of a rehearsed cluster are: each in a network namespace, or all on loopback.

Namespaces need root. Every one has an address of its own on a bridge, where the head and the
services are as well, and a machine that is lost is cut off before its processes die: nobody hears
of its end, as when a plug is pulled.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Network(Protocol):
    """What machines and services have between them."""

    host: str
    """Address of the head and the services."""

    def add(self, name: str) -> str:
        """Give a machine a place; its address."""
        ...

    def command(self, name: str) -> list[str]:
        """What a command on this machine begins with."""
        ...

    def cut(self, name: str) -> None:
        """Let nothing reach a machine, or come from it, any more."""
        ...

    def remove(self, name: str) -> None:
        """Take a machine's place away."""
        ...


class Loopback:
    """All machines are one for the network: a lost one's connections are closed, not silent."""

    host = "127.0.0.1"

    def add(self, name: str) -> str:
        """The same address for all."""
        del name
        return self.host

    def command(self, name: str) -> list[str]:
        """Nothing."""
        del name
        return []

    def cut(self, name: str) -> None:
        """Nothing."""

    def remove(self, name: str) -> None:
        """Nothing."""


class Namespaces:
    """A bridge of this process's own, and a namespace on it for every machine."""

    def __init__(self) -> None:
        number = os.getpid()
        self._prefix = f"rm{number % 100_000}"  # a link's name may have 15 letters
        self._net = f"10.{64 + number // 250 % 64}.{number % 250}"
        self._given = 1
        self._places: dict[str, str] = {}
        self.host = f"{self._net}.1"
        ip("link", "add", "name", self._prefix, "type", "bridge")
        ip("address", "add", f"{self.host}/24", "dev", self._prefix)
        ip("link", "set", self._prefix, "up")

    def add(self, name: str) -> str:
        """A namespace, with a cable to the bridge."""
        self._given += 1
        place = self._places[name] = f"{self._prefix}n{self._given}"
        address = f"{self._net}.{self._given}"
        ip("netns", "add", place)
        ip("link", "add", place, "type", "veth", "peer", "name", "eth0", "netns", place)
        ip("link", "set", place, "master", self._prefix, "up")
        ip("-n", place, "address", "add", f"{address}/24", "dev", "eth0")
        ip("-n", place, "link", "set", "eth0", "up")
        ip("-n", place, "link", "set", "lo", "up")
        return address

    def command(self, name: str) -> list[str]:
        """It is replaced by what it runs: the process stays the one that was started."""
        place = self._places.get(name)
        return [] if place is None else ["ip", "netns", "exec", place]

    def cut(self, name: str) -> None:
        """Pull the cable."""
        if name in self._places:
            ip("link", "set", self._places[name], "down")

    def remove(self, name: str) -> None:
        """The namespace ends with its last process."""
        if name in self._places:
            place = self._places.pop(name)
            ip("link", "delete", place)
            ip("netns", "delete", place)

    def close(self) -> None:
        """Take everything away."""
        for name in list(self._places):
            with contextlib.suppress(subprocess.CalledProcessError):
                self.remove(name)
        ip("link", "delete", self._prefix)


@contextmanager
def a_network() -> Iterator[Network]:
    """Namespaces where they are allowed, else the loopback."""
    if not may_separate():
        yield Loopback()
        return
    network = Namespaces()
    try:
        yield network
    finally:
        network.close()


def may_separate() -> bool:
    """Whether network namespaces can be made here."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    probe = f"rm{os.getpid()}probe"
    try:
        ip("netns", "add", probe)
        ip("netns", "delete", probe)
    except subprocess.CalledProcessError:
        return False
    return True


def ip(*arguments: str) -> None:
    """Run `ip`."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
