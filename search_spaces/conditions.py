"""Conditions such as `head.layers >= 2 and paradigm != 'generative'`, as values.

A condition is a tree of comparisons; `search_spaces.condition_parser` reads it from text.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Value = bool | int | float | str | None | tuple["Value", ...]

_ORDERS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Name:
    """A setting by dotted path, or an axis."""

    path: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in the condition."""

    value: Value


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands and a sign; a lone name is compared with true."""

    left: Name | Constant
    sign: str
    right: Name | Constant


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    inner: Node


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Node, ...]


Node = Comparison | Not | All | AnyOf


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition."""

    root: Node

    def names(self) -> tuple[str, ...]:
        """The settings and axes it asks about, in order of appearance."""
        return tuple(dict.fromkeys(_names(self.root)))

    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison in it."""
        return tuple(_comparisons(self.root))

    def holds(self, values: Mapping[str, Value]) -> bool:
        """Whether it holds for these values.

        Args:
            values: One for each of `names()`.
        """
        return _holds(self.root, values)

    def __str__(self) -> str:
        return _text(self.root)


def both(first: Condition | None, second: Condition | None) -> Condition | None:
    """The condition that both hold; an absent one always does."""
    if first is None or second is None:
        return first or second
    # By text, since `== 1` and `== true` are equal values in Python.
    said = {_text(part): part for part in (*_conjuncts(first.root), *_conjuncts(second.root))}
    parts = tuple(said.values())
    return Condition(parts[0] if len(parts) == 1 else All(parts))


def exclusive(first: Condition | None, second: Condition | None) -> bool:
    """Whether two conditions plainly never hold together: they ask one name for two values."""
    if first is None or second is None:
        return False
    asked = dict(_equalities(first.root))
    return any(
        name in asked and not _equal(asked[name], value) for name, value in _equalities(second.root)
    )


def _equalities(node: Node) -> list[tuple[str, Value]]:
    return [
        (part.left.path, part.right.value)
        for part in _conjuncts(node)
        if isinstance(part, Comparison)
        and part.sign == "=="
        and isinstance(part.left, Name)
        and isinstance(part.right, Constant)
    ]


def _conjuncts(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, All) else (node,)


def _text(node: Node) -> str:
    if isinstance(node, Comparison):
        if node.sign == "==" and isinstance(node.right, Constant) and node.right.value is True:
            return _side(node.left)
        return f"{_side(node.left)} {node.sign} {_side(node.right)}"
    if isinstance(node, Not):
        return f"not ({_text(node.inner)})"
    word = " and " if isinstance(node, All) else " or "
    inner = (All, AnyOf)
    return word.join(
        f"({_text(part)})" if isinstance(part, inner) else _text(part) for part in node.parts
    )


def _side(side: Name | Constant) -> str:
    return side.path if isinstance(side, Name) else _written(side.value)


def _written(value: Value) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str):
        return f'"{value}"' if "'" in value else f"'{value}'"
    return json.dumps(value)


def _names(node: Node) -> list[str]:
    return [
        side.path
        for comparison in _comparisons(node)
        for side in (comparison.left, comparison.right)
        if isinstance(side, Name)
    ]


def _comparisons(node: Node) -> list[Comparison]:
    if isinstance(node, Comparison):
        return [node]
    if isinstance(node, Not):
        return _comparisons(node.inner)
    return [found for part in node.parts for found in _comparisons(part)]


def _holds(node: Node, values: Mapping[str, Value]) -> bool:
    if isinstance(node, Comparison):
        return _compare(_value(node.left, values), node.sign, _value(node.right, values))
    if isinstance(node, Not):
        return not _holds(node.inner, values)
    if isinstance(node, All):
        return all(_holds(part, values) for part in node.parts)
    return any(_holds(part, values) for part in node.parts)


def _value(side: Name | Constant, values: Mapping[str, Value]) -> Value:
    return values[side.path] if isinstance(side, Name) else side.value


def _compare(left: Value, sign: str, right: Value) -> bool:
    if sign in ("==", "!="):
        return (_equal(left, right)) == (sign == "==")
    if sign in ("in", "not in"):
        inside = isinstance(right, tuple) and any(_equal(left, entry) for entry in right)
        return inside == (sign == "in")
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return False  # an absent setting is neither small nor large
    return _ORDERS[sign](left, right)


def _equal(left: Value, right: Value) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)
