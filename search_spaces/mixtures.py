"""`Mixture`: shares of a whole, such as how much of the training data each source gives.

Shares are at least `least` each and sum to one. Listed, they form a simplex lattice (Scheffe,
1958): every way to cut the whole into equal steps. Drawn, they are uniform on the simplex and
rounded to thousandths.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra.field_shapes import entry_type
from infra.findings import Finding, InvalidSettings
from search_spaces.levels import Level
from search_spaces.patches import locate

DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """Every way to share a whole among its parts."""

    path: str
    """The table the shares are entries of."""
    parts: tuple[str, ...]
    least: float = 0.0

    @property
    def dimensions(self) -> int:
        """Coordinates in the unit cube that one draw takes."""
        return len(self.parts)

    def drawn(self, unit: Sequence[float]) -> Level:
        """The level at a place in the unit cube, uniform on the simplex.

        Args:
            unit: One coordinate per part. Exponential spacings (Devroye, 1986, theorem V.2.2).
        """
        lengths = [-math.log1p(-min(max(one, 1e-12), 1 - 1e-12)) for one in unit]
        return self._of([length / sum(lengths) for length in lengths])

    def level(self, name: str) -> Level | None:
        """The level of that name; None when it names no mixture of these parts."""
        shares: dict[str, float] = {}
        for entry in name.split("+"):
            part, _, text = entry.rpartition(":")
            try:
                shares[part] = float(text)
            except ValueError:
                return None
        fits = set(shares) <= set(self.parts) and self.contains(
            {part: shares.get(part, 0.0) for part in self.parts}
        )
        return self._level([shares.get(part, 0.0) for part in self.parts]) if fits else None

    def contains(self, weights: Mapping[str, float]) -> bool:
        """Whether these weights, as shares, are a mixture of the parts."""
        total = sum(weights.values())
        if total <= 0 or any(weights[name] > 0 for name in weights if name not in self.parts):
            return False
        slack = 0.5 * 10**-DIGITS
        return all(weights.get(part, 0.0) / total >= self.least - slack for part in self.parts)

    def lattice(self, steps: int) -> list[Level]:
        """Every mixture in whole steps; `lattice_size` says how many."""
        bars = itertools.combinations(range(steps + len(self.parts) - 1), len(self.parts) - 1)
        found = []
        for places in bars:
            edges = (-1, *places, steps + len(self.parts) - 1)
            counts = [right - left - 1 for left, right in itertools.pairwise(edges)]
            found.append(self._of([count / steps for count in reversed(counts)]))
        return found

    def lattice_size(self, steps: int) -> int:
        """How many mixtures `lattice` lists."""
        return math.comb(steps + len(self.parts) - 1, len(self.parts) - 1)

    def corners(self) -> tuple[Level, ...]:
        """As much as can be of each part."""
        return tuple(
            self._of([float(part == corner) for part in self.parts]) for corner in self.parts
        )

    def __str__(self) -> str:
        least = f", at least {self.least:g} each" if self.least else ""
        return f"shares of {', '.join(self.parts)}{least}"

    def _of(self, free: Sequence[float]) -> Level:
        """The mixture in which what is not spoken for is shared so."""
        room = 1.0 - self.least * len(self.parts)
        exact = [self.least + room * share for share in free]
        scale = 10**DIGITS
        whole = [math.floor(share * scale + 1e-9) for share in exact]
        # Largest remainders get what rounding left over, so that shares sum to one exactly.
        rest = sorted(
            range(len(exact)), key=lambda index: (whole[index] - exact[index] * scale, index)
        )
        for index in rest[: scale - sum(whole)]:
            whole[index] += 1
        return self._level([count / scale for count in whole])

    def _level(self, shares: Sequence[float]) -> Level:
        given = {part: share for part, share in zip(self.parts, shares, strict=True) if share > 0}
        name = "+".join(f"{part}:{share:g}" for part, share in given.items())
        return Level(name=name, patch={self.path: given})


def make_mixture(path: str, *, parts: Sequence[str], least: float) -> Mixture:
    """The mixtures of a table's entries.

    Raises:
        InvalidSettings: If the setting is no table of numbers, a part stands twice, there are
            fewer than two, or their least shares exceed the whole.
    """
    findings = []
    if entry_type(locate(path).shape) is None:
        message = f"'{path}' is no table of numbers, so nothing in it can be mixed; try data_mix"
        findings.append(Finding((), message))
    twice = sorted({part for part in parts if list(parts).count(part) > 1})
    if twice:
        findings.append(Finding(("mixture",), f"'{twice[0]}' stands here twice; keep one"))
    elif len(parts) < 2:
        message = f"expected at least two parts to mix, came {len(parts)}"
        findings.append(Finding(("mixture",), message))
    elif least * len(parts) >= 1:
        message = (
            f"{len(parts)} parts of at least {least:g} each are more than a whole; "
            f"lower least below {1 / len(parts):.3g}"
        )
        findings.append(Finding(("least",), message))
    if findings:
        raise InvalidSettings(findings)
    return Mixture(path=path, parts=tuple(parts), least=least)
