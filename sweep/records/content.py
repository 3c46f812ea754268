"""What of a sweep file decides which sweep it is, and what must never be kept of it.

The same sections are left out here as in the sweep's id: what may be spent, on which machines, in
which words, and where it is shown may change while the sweep stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.errors import InputError
from infra.settings import masked
from sweep.records.rows import Json
from sweep.spec.axis_spec import AxisSpec
from trainer.identity import digest

CHANGEABLE = ("budget", "question", "resources", "tracking", "storage", "notify")
"""Sections of a sweep file that may change while the sweep stays the same; a store that moves is
refused with a reason of its own."""
UNASKED = ("machine", "seed")
"""Settings of a baseline that do not change what is trained; a sweep's seeds are its replicates."""


def asked(spec_json: Json) -> dict[str, Any]:
    """The part of a written-out sweep file that says what is trained and compared."""
    kept = {key: value for key, value in spec_json.items() if key not in CHANGEABLE}
    for section in ("baseline", "set"):
        if isinstance(kept.get(section), Mapping):
            kept[section] = {
                path: value
                for path, value in kept[section].items()
                if path.partition(".")[0] not in UNASKED
            }
    if isinstance(kept.get("axes"), Mapping):
        kept["axes"] = {name: _as_given(axis) for name, axis in kept["axes"].items()}
    return kept


def content_digest(spec_json: Json) -> str:
    """Equal for sweep files that ask for the same trainings."""
    return digest(asked(spec_json))


def refuse_passwords(value: object, path: str = "") -> None:
    """Raise `InputError` naming the setting of a sweep that holds a password."""
    if isinstance(value, str) and masked(value) != value:
        raise InputError(
            f"{path} holds a password, which a ledger must not keep; leave it out and set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, PGPASSFILE, or RMSWEEP_*"
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            refuse_passwords(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            refuse_passwords(item, f"{path}[{index}]")


def _as_given(axis: Any) -> dict[str, Any]:  # noqa: ANN401 -- an axis in any of its forms
    """An axis in one form however it was written, without what it is to answer."""
    made = AxisSpec.model_validate({"levels": axis} if isinstance(axis, list) else axis)
    given = made.model_dump(mode="json", exclude_defaults=True, exclude={"question", "within"})
    within = {
        level: {name: _as_given(inner) for name, inner in inside.items()}
        for level, inside in made.within.items()
    }
    return given | ({"within": within} if within else {})
