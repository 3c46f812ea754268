"""How an ensemble is to be chosen, and on which benchmarks: what a user asks for, settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.foreign.tables import ForeignScores
from analysis.tables import SweepTables
from infra.errors import InputError
from sweep.spec.objective_spec import ObjectiveSpec

SHORTLIST = 25
"""Models that methods are shown: Caruana et al. pick from the best of the library."""
POOL = 100
"""Models a shortlist is drawn up from, in every fold anew; each one more takes 27 ms."""
AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How an ensemble is to be chosen."""

    method: str = AUTO
    """One of `methods.METHODS`, or `auto`: what does best in nested cross-validation."""
    name: str | None = None
    """Of the ensemble; the first sweep's name and the method when absent."""
    validation: str | None = None
    """Benchmark to choose on; the one the first sweep selects by when absent."""
    test: str | None = None
    """Benchmark to judge on; the first one all have when absent."""
    at_most: int = SHORTLIST
    """Models that a method is shown, the best on the pairs it is shown."""

    @property
    def pool(self) -> int:
        """Models that are read, those best by their recorded accuracy."""
        return max(POOL, self.at_most)


DEFAULT = Asked()


def shared_benchmarks(
    sweeps: Sequence[SweepTables], foreign: ForeignScores | None, asked: Asked
) -> tuple[str, str | None]:
    """Names of the benchmark to choose on and of the one to judge on, which all must have.

    Raises:
        InputError: If there is no such benchmark to choose on, or not the one asked for.
    """
    held = [each.benchmarks_for("selection") for each in sweeps]
    reported = [each.benchmarks_for("reporting") for each in sweeps]
    owners = [each.sweep_id for each in sweeps]
    if foreign is not None:
        held.append(foreign.benchmarks_for("selection"))
        reported.append(foreign.benchmarks_for("reporting"))
        owners.append(str(foreign.folder))
    validation = asked.validation
    if validation is None and sweeps:
        spec = sweeps[0].sweep.spec_json.get("objective", {})
        validation = ObjectiveSpec.model_validate(spec).benchmark
    if validation is None:
        shared = [name for name in held[0] if all(name in each for each in held)]
        if not shared:
            raise InputError(
                "an ensemble is chosen on items whose split is validation, and none of the score "
                "tables has any; mark those that may be chosen on"
            )
        validation = shared[0]
    lacking = [owner for owner, names in zip(owners, held, strict=True) if validation not in names]
    if lacking:
        raise InputError(
            f"ensembles are chosen on {validation!r}, which {', '.join(lacking)} lacks as a "
            f"validation benchmark; run `rmsweep evaluate {lacking[0]} --benchmark {validation}` "
            "or name another with --validation"
        )
    shared = [name for name in reported[0] if all(name in each for each in reported)]
    if asked.test is not None and asked.test not in shared:
        raise InputError(
            f"{asked.test!r} is no test benchmark all of them have; "
            f"they share: {', '.join(shared) or 'none'}"
        )
    return validation, asked.test or (shared[0] if shared else None)
