"""Over which network interface the ranks of a gang meet.

Left to itself, Gloo takes the address that the host's name stands for. On Debian, and wherever
`/etc/hosts` says so, that is a loopback address, which ranks on other machines cannot reach.
"""

from __future__ import annotations

import socket

import psutil


def interface_towards(address: str, port: int) -> str | None:
    """Name of this machine's interface from which the address is reached; None if none is known.

    For an address of this machine itself it is the interface that has it.
    """
    try:
        family, _, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(target)  # sends nothing, but chooses the way
            own = str(probe.getsockname()[0])
    except OSError:
        return None
    for name, addresses in psutil.net_if_addrs().items():
        # Addresses of IPv6 that hold on one link only end in `%` and the interface.
        if any(each.address.partition("%")[0] == own.partition("%")[0] for each in addresses):
            return name
    return None
