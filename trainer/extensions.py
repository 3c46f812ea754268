"""Parts of a model that installed packages bring, found by entry point; imports no torch.

Heads (`rmsweep.heads`), losses (`rmsweep.losses`) and backbones (`rmsweep.backbones`); sources,
adapters and benchmarks are found where they are read. `docs/extending.md` shows each.
What a training's identity holds of such a part is its name and its distribution's version.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from infra.errors import InputError
from infra.findings import hint

Group = Literal["rmsweep.heads", "rmsweep.losses", "rmsweep.backbones"]


@cache
def installed(group: Group) -> dict[str, EntryPoint]:
    """Every part of a group that an installed package brings, by name.

    Raises:
        InputError: If two packages bring different parts under one name.
    """
    known: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        first = known.setdefault(point.name, point)
        if first.value != point.value:
            raise InputError(
                f"{point.name!r} is defined twice in {group}, as {first.value} and {point.value}; "
                "uninstall one"
            )
    return known


def check_installed(group: Group, name: str, *built_in: str) -> None:
    """Make sure that a package brings this part, without importing it.

    Raises:
        InputError: If none does; names the nearest.
    """
    known = installed(group)
    if name not in known:
        raise InputError(
            f"no installed package brings {name!r} in {group}{hint(name, (*built_in, *known))}"
        )


def load_part(group: Group, name: str) -> Any:  # noqa: ANN401 -- what the package says it is
    """What an entry point names.

    Raises:
        InputError: If there is none of that name, or it cannot be loaded.
    """
    check_installed(group, name)
    point = installed(group)[name]
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{name!r} of {group} ({point.value}) cannot be loaded: {error}"
        ) from error


def release_of(group: Group, name: str) -> str:
    """The distribution that brings a part, with its version: another release may train otherwise.

    Raises:
        InputError: If none does.
    """
    check_installed(group, name)
    distribution = installed(group)[name].dist
    return "unknown" if distribution is None else f"{distribution.name} {distribution.version}"
