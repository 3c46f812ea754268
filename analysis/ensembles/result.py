"""`EnsembleResult`: an ensemble, what it is worth, and its `ensemble.json`.

Invariant: whether the ensemble pays is said plainly, also when it does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis.ensembles.diversity import Diversity
from analysis.statistics.intervals import Accuracy
from analysis.statistics.paired import Comparison, Interval
from analysis.statistics.verdicts import Verdict, signed
from infra.errors import InputError, StoreError
from trainer.members.combining import Combiner
from trainer.members.ensemble_file import EnsembleFile, EnsembleMember, ModelReference


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One voice of the ensemble."""

    label: str
    identity: str
    arm: str
    """Empty when weights of several arms are averaged."""
    seed: int | None
    """Absent when weights of several seeds are averaged."""
    weight: float
    models: tuple[ModelReference, ...]
    validation_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One method on validation pairs it had not seen."""

    method: str
    accuracy: float
    loss: float
    """Mean negative log-likelihood of being right, in nats; 0.693 is a coin."""
    against_single: Interval | None
    """Of the difference from the best single member; absent for that one."""
    difference: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The ensemble against the best single member, on test items seen for the first time."""

    benchmark: str
    ensemble: Accuracy
    single: Accuracy
    comparison: Comparison
    verdict: Verdict

    @property
    def basis(self) -> str:
        """What the difference rests on, in words; the ensemble and the model are one voice each."""
        held = self.comparison
        return (
            f"On {held.items:,} pairs of {self.benchmark} in {held.groups:,} groups; "
            f"{held.convention}. For these trained models, not for other seeds."
        )

    @property
    def pays(self) -> bool:
        """Whether the ensemble is shown to be better."""
        return self.verdict.word == "better"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleResult:
    """An ensemble, why it is so, and what it is worth."""

    name: str
    method: str
    setting: str
    """The method's settings, as inner cross-validation chose them."""
    members: tuple[Member, ...]
    combiner: Combiner
    """Over `members`, in their order."""
    single: Member
    """The best single model by validation accuracy."""
    candidates: int
    validation_benchmark: str
    validation_items: int
    """Pairs."""
    validation_accuracy: float
    """On the pairs it was fitted to: flattering."""
    compared: tuple[Compared, ...]
    """Methods by nested cross-validation, best first."""
    diversity: Diversity | None
    """Of the members, on validation pairs."""
    evidence: Evidence | None
    """Absent when there is no test benchmark in common."""
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    sweeps: tuple[str, ...]
    created: str

    @property
    def accuracy(self) -> float | None:
        """On the test benchmark."""
        return None if self.evidence is None else self.evidence.ensemble.value

    @property
    def models(self) -> int:
        """Models that are run to score once: what an ensemble costs."""
        return len(self.members)

    @property
    def headline(self) -> str:
        """What it is worth, in one or two sentences."""
        averaged = len(self.members[0].models)
        if len(self.members) == 1 and averaged > 1:
            what = f"The average of the weights of {averaged} models ({self.members[0].label})"
        elif len(self.members) == 1:
            return f"No ensemble helps on validation: {self.members[0].label} alone is kept."
        else:
            what = f"The {self.method} ensemble of {len(self.members)} models"
        if self.evidence is None:
            return f"{what} was not judged: there is no test benchmark all members share."
        return what + _worth(self.evidence, self.single, self.models)

    @property
    def basis(self) -> str:
        """What the headline rests on; empty where nothing was judged."""
        return "" if self.evidence is None else self.evidence.basis

    def file(self) -> EnsembleFile:
        """What scoring needs."""
        return EnsembleFile(
            version=2,
            name=self.name,
            method=self.method,
            members=tuple(
                EnsembleMember(
                    label=member.label,
                    models=member.models,
                    weight=member.weight,
                    normalization=normalization,
                )
                for member, normalization in zip(
                    self.members, self.combiner.normalizations, strict=True
                )
            ),
            rule=self.combiner.rule,
            temperature=self.combiner.temperature,
        )

    def to_bytes(self) -> bytes:
        """`ensemble.json` as it is written."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False).encode() + b"\n"

    def to_json(self) -> dict[str, Any]:
        """The content of `ensemble.json`, which `trainer.members.ensemble_file` reads."""
        return self.file().model_dump(mode="json") | {
            "headline": self.headline,
            "basis": self.basis,
            "selected_on": {
                "benchmark": self.validation_benchmark,
                "pairs": self.validation_items,
                "candidates": self.candidates,
                "setting": self.setting,
                "accuracy_where_fitted": self.validation_accuracy,
                "cross_validated": [_compared_json(each) for each in self.compared],
            },
            "diversity": None if self.diversity is None else asdict(self.diversity),
            "evidence": None
            if self.evidence is None
            else _evidence_json(self.evidence, self.single),
            "left_out": list(self.left_out),
            "notes": list(self.notes),
            "created": self.created,
            "sweeps": list(self.sweeps),
        }


def write_result(path: Path, data: bytes) -> None:
    """Write a file, in words when that is impossible.

    Raises:
        InputError: If the place is none.
        StoreError: If the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except (IsADirectoryError, NotADirectoryError, FileExistsError, PermissionError) as error:
        raise InputError(f"the ensemble cannot be written to {path}: {error.strerror}") from error
    except OSError as error:
        raise StoreError(f"the ensemble cannot be written to {path}: {error}") from error


def _worth(evidence: Evidence, single: Member, count: int) -> str:
    comparison = evidence.comparison
    interval = comparison.fixed
    bounds = (
        f" (95% interval {signed(interval.low)} to {signed(interval.high)})"
        if interval is not None
        else ""
    )
    figures = (
        f" is right on {100 * evidence.ensemble.value:.1f}% of {evidence.benchmark}, the best "
        f"single model ({single.label}) on {100 * evidence.single.value:.1f}%: "
        f"{signed(comparison.difference)} points{bounds}."
    )
    cost = "one model's cost" if count == 1 else f"{count} times the cost"
    if evidence.pays:
        return f"{figures} It pays, at {cost} of scoring."
    if evidence.verdict.word == "worse":
        return f"{figures} It does not pay: it is worse than that one model."
    return f"{figures} It does not pay: no gain is shown, at {cost} of scoring."


def _compared_json(each: Compared) -> Mapping[str, Any]:
    interval = each.against_single
    return {
        "method": each.method,
        "accuracy": each.accuracy,
        "loss": each.loss,
        "against_single": each.difference,
        "interval": None if interval is None else [interval.low, interval.high],
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
