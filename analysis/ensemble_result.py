"""`EnsembleResult`: an ensemble, what it is worth, and its `ensemble.json`.

Invariant: whether the ensemble pays is said plainly, also when it does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from analysis.ensemble_weights import Method
from analysis.statistics.intervals import Accuracy
from analysis.statistics.paired import Comparison
from analysis.statistics.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One model of the ensemble."""

    identity: str
    arm: str
    seed: int
    weight: float
    store: str
    model_digest: str
    mean: float
    std: float
    """Mean and deviation of its scores over validation responses."""
    validation_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The ensemble against the best single member, on test items seen for the first time."""

    benchmark: str
    ensemble: Accuracy
    single: Accuracy
    comparison: Comparison
    verdict: Verdict

    @property
    def pays(self) -> bool:
        """Whether the ensemble is shown to be better."""
        return self.verdict.word == "better"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleResult:
    """An ensemble, why it is so, and what it is worth."""

    name: str
    method: Method
    members: tuple[Member, ...]
    single: Member
    """The best single model by validation accuracy."""
    validation_benchmark: str
    validation_items: int
    validation_accuracy: float
    cross_validated: dict[str, float]
    """Accuracy of `single`, `average` and `greedy` chosen and judged on different validation
    folds."""
    evidence: Evidence | None
    """Absent when the sweeps have no test benchmark in common."""
    left_out: tuple[str, ...]
    sweeps: tuple[str, ...]
    created: str

    @property
    def accuracy(self) -> float | None:
        """On the test benchmark."""
        return None if self.evidence is None else self.evidence.ensemble.value

    @property
    def headline(self) -> str:
        """What it is worth, in one or two sentences."""
        count = len(self.members)
        what = f"The {self.method} ensemble of {count} models"
        if count == 1:
            return (
                f"No ensemble helps on validation: {self.single.arm} seed {self.single.seed} "
                "alone is kept."
            )
        if self.evidence is None:
            return f"{what} was not judged: the sweeps share no test benchmark."
        return what + _worth(self.evidence, self.single, count)

    def to_json(self) -> dict[str, Any]:
        """The content of `ensemble.json`, which `trainer.scoring` reads."""
        document: dict[str, Any] = {
            "version": 1,
            "name": self.name,
            "method": self.method,
            "members": [_member_json(member) for member in self.members],
            "selected_on": {
                "benchmark": self.validation_benchmark,
                "items": self.validation_items,
                "accuracy": self.validation_accuracy,
                "cross_validated": self.cross_validated,
            },
            "evidence": None
            if self.evidence is None
            else _evidence_json(self.evidence, self.single),
            "headline": self.headline,
            "left_out": list(self.left_out),
            "created": self.created,
            "sweeps": list(self.sweeps),
        }
        return document


def _worth(evidence: Evidence, single: Member, count: int) -> str:
    comparison = evidence.comparison
    interval = comparison.fixed
    bounds = (
        f" (95% interval {100 * interval.low:+.1f} to {100 * interval.high:+.1f})"
        if interval is not None
        else ""
    )
    figures = (
        f" is right on {100 * evidence.ensemble.value:.1f}% of {evidence.benchmark}, the best "
        f"single model ({single.arm} seed {single.seed}) on {100 * evidence.single.value:.1f}%: "
        f"{100 * comparison.difference:+.1f} points{bounds}."
    )
    if evidence.pays:
        return f"{figures} It pays, at {count} times the cost of scoring."
    if evidence.verdict.word == "worse":
        return f"{figures} It does not pay: it is worse than that one model."
    return f"{figures} It does not pay: no gain is shown, at {count} times the cost of scoring."


def _member_json(member: Member) -> dict[str, Any]:
    return {
        "identity": member.identity,
        "store": member.store,
        "model_digest": member.model_digest,
        "weight": member.weight,
        "normalization": {"mean": member.mean, "std": member.std},
        "arm": member.arm,
        "seed": member.seed,
    }


def _evidence_json(evidence: Evidence, single: Member) -> dict[str, Any]:
    comparison = evidence.comparison
    fixed = comparison.fixed
    return {
        "benchmark": evidence.benchmark,
        "pairs": comparison.items,
        "groups": comparison.groups,
        "convention": comparison.convention,
        "accuracy": evidence.ensemble.value,
        "interval": [evidence.ensemble.low, evidence.ensemble.high],
        "best_single": {
            "identity": single.identity,
            "arm": single.arm,
            "seed": single.seed,
            "accuracy": evidence.single.value,
            "interval": [evidence.single.low, evidence.single.high],
        },
        "difference": {
            "value": comparison.difference,
            "interval": None if fixed is None else [fixed.low, fixed.high],
            "p_value": None if fixed is None else fixed.p_value,
            "verdict": evidence.verdict.text,
        },
        "pays": evidence.pays,
    }
