"""Whatever a sweep file holds, it becomes a sweep or a list of problems; never a traceback."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import InputError, SpecError
from search_spaces.patches import setting_paths
from search_spaces.recipes import recipe_names, recipe_path
from sweep.spec.load import is_sweep, load_sweep, sweep_of
from sweep.spec.overrides import apply_overrides
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec
from sweep.spec.yaml_source import read_value, read_yaml

SWEEPS = [
    name
    for name in recipe_names()
    if is_sweep(read_yaml(recipe_path(name).read_text(encoding="utf-8"), name))
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["head.layers", "grid", "xs", "scalar", "accuracy", "demo", "head.layers > 1"]),
)
KEYS = st.one_of(
    st.sampled_from([*SweepSpec.model_fields, *setting_paths(), "levels", "when", "kind", "seeds"]),
    st.sampled_from(["scale", "head", "data_mix", "backbone", "strategy"]),
    st.text(max_size=6),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=20,
)


def _read(text: str) -> None:
    """What `check` does, stopping at the first list of problems."""
    with contextlib.suppress(SpecError):
        file = sweep_of(read_yaml(text, "fuzzed.yaml"))
        resolve(file.spec, file.source)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    _read(text)


@given(st.text(alphabet="ab:{}[]-&*!|>'\"\\%@#,?\t\n x0.1e_uU", max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_yaml_punctuation_is_read_or_refused(text: str) -> None:
    _read(text)


@given(st.dictionaries(KEYS, VALUES, max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_mapping_is_resolved_or_refused(data: dict[str, Any]) -> None:
    _read(yaml.safe_dump({"name": "fuzzed", **data}, allow_unicode=True))


@given(name=st.sampled_from(SWEEPS), where=st.data())
@settings(max_examples=60, deadline=None)
def test_any_edit_of_a_shipped_file_is_resolved_or_refused(name: str, where: st.DataObject) -> None:
    text = recipe_path(name).read_text(encoding="utf-8")
    start = where.draw(st.integers(0, len(text)))
    length = where.draw(st.integers(0, 12))
    inserted = where.draw(st.text(alphabet="ab:{}[]-&*!'\"\t\n 019.e~", max_size=6))
    _read(text[:start] + inserted + text[start + length :])


@given(name=st.sampled_from(SWEEPS), where=st.data(), value=VALUES)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_in_a_shipped_file_is_resolved_or_refused(
    name: str, where: st.DataObject, value: object
) -> None:
    data: Any = yaml.safe_load(recipe_path(name).read_text(encoding="utf-8"))
    here = data
    while True:
        key = where.draw(st.sampled_from(sorted(here)) if isinstance(here, dict) else st.just(0))
        inner = here[key]
        if isinstance(inner, dict | list) and inner and where.draw(st.booleans()):
            here = inner
            continue
        here[key] = value
        break
    _read(yaml.safe_dump(data, allow_unicode=True))


@given(st.text(max_size=40))
@settings(max_examples=60, deadline=None)
def test_any_override_is_applied_or_refused(override: str) -> None:
    document = read_yaml("name: fuzzed\nset: {head.layers: 2}", "fuzzed.yaml")
    with contextlib.suppress(SpecError):
        sweep_of(apply_overrides(document, [override, f"set.{override}", f"{override}=1"]))


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_value_of_an_override_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SpecError):
        read_value(text, "--set")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"\x00", b"name: \xe9", b"", b"\xef\xbb\xbfname: x"]
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.yaml"
    path.write_bytes(content)

    with contextlib.suppress(InputError):
        load_sweep(path)
