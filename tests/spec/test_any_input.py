"""Whatever a sweep file holds, it becomes a sweep or a list of problems; never a traceback."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.errors import InputError, SpecError
from infra.yaml_source import read_value, read_yaml
from search_spaces.patches import setting_paths
from search_spaces.recipes import recipe_names, recipe_path
from sweep.engine.growing.staging import StageGrowth
from sweep.engine.planning.plan import make_plan
from sweep.spec.load import is_sweep, load_sweep, sweep_of
from sweep.spec.overrides import apply_overrides
from sweep.spec.resolve import resolve, resolve_file
from sweep.spec.sweep_spec import BudgetSpec, SweepSpec
from tests.engine.known_digests import KnownDigests

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
AXIS_KEYS = ["levels", "low", "high", "log", "steps", "members", "mixture", "least", "within"]
KEYS = st.one_of(
    st.sampled_from([*SweepSpec.model_fields, *setting_paths(), "when", "kind", "seeds"]),
    st.sampled_from([*AXIS_KEYS, "extends", "include", "points", "resolution"]),
    st.sampled_from(["scale", "head", "data_mix", "backbone", "strategy"]),
    st.sampled_from([*BudgetSpec.model_fields, "stages", "name", "adopt", "race", "initial"]),
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


STAGED_AXES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "head.layers": st.sampled_from(
            [[1, 2], [2, 3, 4], {"low": 1, "high": 5}, {"low": 1, "high": 5, "steps": 3}]
        )
    },
    optional={
        "strategy.warmup": st.sampled_from(
            [[0.1, 0.2], {"low": 0.0, "high": 0.3}, {"low": 0.0, "high": 0.3, "steps": 4}]
        ),
        "data_mix": st.sampled_from(
            [
                ["scenes", "text"],
                {"members": ["scenes", "digits", "text"]},
                {"members": ["scenes", "digits"], "always": ["scenes"]},
                {"mixture": ["scenes", "text"]},
                {"mixture": ["scenes", "text"], "steps": 3},
            ]
        ),
        "scale": st.just(["xs", "s"]),
    },
)
STAGE_DESIGNS = st.sampled_from(
    [{"kind": kind} for kind in ("grid", "one_factor", "leave_one_out", "add_one_in")]
    + [
        {"kind": kind, "points": points}
        for kind in ("random", "latin_hypercube")
        for points in (2, 3)
    ]
    + [{"kind": "random", "points": 2, "with_baseline": False}, {"kind": "fractional"}]
)


@given(axes=STAGED_AXES, designs=st.tuples(STAGE_DESIGNS, STAGE_DESIGNS), cut=st.integers(1, 3))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_stages_are_planned_or_refused(
    axes: dict[str, Any], designs: tuple[dict[str, Any], dict[str, Any]], cut: int
) -> None:
    parts = [names for names in ([*axes][:cut], [*axes][cut:]) if names]
    stages = [
        {"name": f"stage{number}", "axes": names, "design": design}
        for number, (names, design) in enumerate(zip(parts, designs, strict=False))
    ]
    design = {"kind": "staged", "stages": stages}

    with contextlib.suppress(SpecError):
        spec = SweepSpec.model_validate({"name": "fuzzed", "axes": axes, "design": design})
        plan = make_plan(resolve(spec), digests=KnownDigests())
        growth = plan.growth
        assert isinstance(growth, StageGrowth)
        planned = [*plan.trials, *(each.trial for each in plan.later)]
        identities = {trial.identity for trial in planned}
        assert len(identities) == len(planned)
        grown = [trial for n in range(len(parts)) for trial in growth.stage_trials(n, {})]
        assert {trial.identity for trial in grown} == identities


@given(
    texts=st.lists(
        st.dictionaries(
            st.sampled_from(["extends", "include", "set", "axes", "design", "name", "baseline"]),
            st.sampled_from(["file0.yaml", "file1.yaml", "file2.yaml", "demo"])
            | st.lists(st.sampled_from(["file0.yaml", "file1.yaml"]), max_size=2)
            | st.dictionaries(KEYS, VALUES, max_size=2)
            | st.none(),
            max_size=4,
        ),
        min_size=3,
        max_size=3,
    )
)
@settings(max_examples=60, deadline=None)
def test_any_files_that_name_each_other_are_put_together_or_refused(
    texts: list[dict[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for index, data in enumerate(texts):
            text = yaml.safe_dump(data, allow_unicode=True)
            (folder / f"file{index}.yaml").write_text(text, encoding="utf-8")

        with contextlib.suppress(InputError):
            resolve_file(folder / "file0.yaml")
