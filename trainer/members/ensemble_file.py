"""`ensemble.json`: members by identity and checksum, and how their scores combine. Torch-free.

Whoever holds the file and reaches the stores it names gets the scores that were judged; the
evidence in it is for readers and changes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from infra.errors import InputError, MissingError
from infra.frozen import Frozen
from trainer.members.combining import AnyRule, Combiner
from trainer.members.normalizing import Normalization

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelReference(Frozen):
    """One trained model in an object store."""

    identity: str
    """Of its trial."""
    store: str
    """Where the trial left its files."""
    model_digest: Digest
    """Of the model's files; another model under this identity is refused."""


class EnsembleMember(Frozen):
    """One voice of the ensemble: a model, or several whose weights are averaged."""

    label: str
    """Arm and seed, for people."""
    models: tuple[ModelReference, ...]
    """More than one: their weights are averaged into one model before it scores. None: the member
    was given as a score table and can only be combined from one."""
    weight: float
    """Its share, for readers; `rule` holds what is computed with."""
    normalization: Normalization


class EnsembleFile(Frozen):
    """What of an `ensemble.json` scoring needs."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[2]
    name: str
    method: str
    members: Annotated[tuple[EnsembleMember, ...], Field(min_length=1)]
    rule: AnyRule
    temperature: Annotated[float, Field(gt=0)]

    @property
    def combiner(self) -> Combiner:
        """From the members' raw scores to the ensemble's."""
        return Combiner(
            normalizations=tuple(member.normalization for member in self.members),
            rule=self.rule,
            temperature=self.temperature,
        )

    @model_validator(mode="after")
    def _one_weight_per_member(self) -> EnsembleFile:
        count = len(self.members)
        held = [self.rule.weights]
        if self.rule.kind == "routed":
            held = [*self.rule.routes.values(), self.rule.default]
        if self.rule.kind == "probability":
            held.append(self.rule.temperatures)
        if any(len(each) != count for each in held):
            raise ValueError(f"the rule must hold one weight for each of the {count} members")
        if not any(np.any(np.asarray(each) != 0) for each in held):
            raise ValueError("the rule gives no member any weight")
        return self


def read_ensemble(path: Path) -> EnsembleFile:
    """The ensemble a file describes.

    Raises:
        MissingError: If there is no such file.
        InputError: If it is no ensemble file; every problem at once.
    """
    if not path.is_file():
        raise MissingError(f"expected an ensemble.json, but there is no file {path}")
    try:
        return EnsembleFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}"
            for each in error.errors()
        )
        raise InputError(
            f"{path} is not an ensemble file of this version: {problems}; "
            "`rmsweep ensemble` writes one"
        ) from error
