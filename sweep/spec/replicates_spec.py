"""`ReplicatesSpec`: how often an arm is trained, and whether that depends on how it does."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveInt, model_validator

from infra.frozen import Frozen


class ReplicatesSpec(Frozen):
    """A fixed number of seeds, or a race: more seeds only for arms that may still be the best."""

    seeds: PositiveInt = 3
    """Trials per arm, with seeds `first_seed`, `first_seed` + 1, ...; in a race, `initial`."""
    first_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    race: bool = False
    """Give further seeds to arms still in contention, by intervals that hold at every look."""
    initial: Annotated[int, Field(ge=1)] | None = None
    """In a race: seeds of every arm."""
    at_most: Annotated[int, Field(ge=2, le=1000)] | None = None
    """In a race: seeds of an arm that is never decided."""

    @model_validator(mode="before")
    @classmethod
    def _a_race_begins_with_its_initial_seeds(cls, data: Any) -> Any:  # noqa: ANN401
        if isinstance(data, dict) and data.get("race") is True and "initial" in data:
            return {"seeds": data["initial"], **data}
        return data

    @model_validator(mode="after")
    def _says_all_of_a_race_or_nothing(self) -> ReplicatesSpec:
        if not self.race:
            if self.initial is not None or self.at_most is not None:
                raise ValueError("initial and at_most belong to a race; set race: true, or seeds")
            return self
        if self.initial is None or self.at_most is None:
            raise ValueError("a race needs initial and at_most, such as {initial: 2, at_most: 8}")
        if self.seeds != self.initial:
            raise ValueError(f"a race has no seeds ({self.seeds}); give initial and at_most alone")
        if self.at_most <= self.initial:
            raise ValueError(
                f"at_most ({self.at_most}) must be larger than initial ({self.initial})"
            )
        return self
