"""Conditions read from text, never evaluated as code.

The language: names of settings and axes, numbers, quoted text, lists, `true false null`, the
comparisons `== != < <= > >= in`, `not in`, and `not`, `and`, `or`, parentheses. Nothing else can be
said, so a condition from a stranger's file can do nothing but be true or false.
"""

from __future__ import annotations

import re

from infra.findings import Finding, InvalidSettings
from search_spaces.conditions import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    Name,
    Node,
    Not,
    Value,
)

LONGEST = 500
DEEPEST = 40
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign><=|>=|==|!=|<|>|\(|\)|\[|\]|,)"
    r"|(?P<word>[A-Za-z_](?:[\w.+-]*\w)?))"
)
_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}
_KEYWORDS = {"and", "or", "not", "in"}


def parse_condition(text: str) -> Condition:
    """The condition a text says.

    Raises:
        InvalidSettings: If the text is not in the language; says where.
    """
    if len(text) > LONGEST:
        raise InvalidSettings([Finding((), f"expected at most {LONGEST} characters")])
    return Condition(_Parser(text).condition())


class _Parser:
    """Recursive descent over the tokens, at most `DEEPEST` deep."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                rest = text[at:].lstrip()
                at = len(text) - len(rest)
                raise self._error("a name, a value or a comparison", at, rest[:10].rstrip())
            kind = str(match.lastgroup)
            token = match.group(kind)
            self._tokens.append(
                ("keyword" if token in _KEYWORDS else kind, token, match.start(kind))
            )
            at = match.end()
        self._next = 0
        if sum(token in ("(", "not") for _, token, _ in self._tokens) > DEEPEST:
            message = f"not a condition: expected at most {DEEPEST} parentheses and 'not'"
            raise InvalidSettings([Finding((), message)])

    def condition(self) -> Node:
        root = self._any()
        if self._next < len(self._tokens):
            _, token, at = self._tokens[self._next]
            raise self._error("'and', 'or' or the end", at, token)
        return root

    def _any(self) -> Node:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all(self) -> Node:
        parts = [self._not()]
        while self._take("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _not(self) -> Node:
        if self._take("not"):
            return Not(self._not())
        if self._take("("):
            inner = self._any()
            self._expect(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._operand()
        sign = self._sign()
        if sign is not None:
            return Comparison(left, sign, self._operand())
        if isinstance(left, Name):
            return Comparison(left, "==", Constant(True))
        raise self._error("a comparison such as head.layers >= 2", *self._here())

    def _sign(self) -> str | None:
        if self._take("not"):
            self._expect("in")
            return "not in"
        for sign in ("==", "!=", "<=", ">=", "<", ">", "in"):
            if self._take(sign):
                return sign
        return None

    def _operand(self) -> Name | Constant:
        if self._take("["):
            return Constant(tuple(self._list()))
        if self._next < len(self._tokens):
            kind, token, _ = self._tokens[self._next]
            if kind in ("number", "text", "word"):
                self._next += 1
                if kind == "word" and token not in _CONSTANTS:
                    return Name(token)
                return Constant(_constant(kind, token))
        raise self._error("a setting, a number, quoted text or a list", *self._here())

    def _list(self) -> list[Value]:
        values: list[Value] = []
        while not self._take("]"):
            if values:
                self._expect(",")
            at = self._here()
            operand = self._operand()
            if isinstance(operand, Name):
                raise self._error(f"a value; quote text as '{operand.path}'", *at)
            values.append(operand.value)
        return values

    def _take(self, token: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next][1] == token:
            self._next += 1
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise self._error(f"'{token}'", *self._here())

    def _here(self) -> tuple[int, str]:
        if self._next < len(self._tokens):
            _, token, at = self._tokens[self._next]
            return at, token
        return len(self._text), ""

    def _error(self, expected: str, at: int, came: str) -> InvalidSettings:
        seen = f"'{came}'" if came else "the end"
        message = (
            f"not a condition: expected {expected} at character {at + 1} of {self._text!r}, "
            f"came {seen}"
        )
        return InvalidSettings([Finding((), message)])


def _constant(kind: str, token: str) -> Value:
    if kind == "text":
        return token[1:-1]
    if kind == "word":
        return _CONSTANTS[token]
    return int(token) if token.lstrip("-").isdigit() else float(token)
