"""Sweep files put together: what wins, whose line it is, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import SpecError
from sweep.spec.load import load_sweep
from sweep.spec.resolve import resolve_file

BASE = """\
name: base
question: What matters?
baseline: trainer.yaml
set: {strategy.warmup: 0.2, data.pairs: 64}
axes:
  head.layers: [1, 2, 3]
  scale: [xs, s]
design: {kind: grid}
budget: {hours: 2, failures: 3}
"""
TRAINER = "head: {layers: 2}\nbackbone: {scale: xs}\n"


def written(folder: Path, **files: str) -> Path:
    """A folder with the base, its baseline and these files."""
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    (folder / "trainer.yaml").write_text(TRAINER, encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


def problems(path: Path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        resolve_file(path)
    return [str(problem) for problem in caught.value.problems]


def test_a_variant_says_only_what_differs(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        variant="""\
name: variant
extends: base.yaml
set: {data.pairs: 128}
axes: {scale: null, head.pooling: [last, mean], head.layers: [2, 4]}
design: {kind: one_factor}
budget: {hours: 1}
""",
    )

    resolved = resolve_file(path / "variant.yaml")

    spec = resolved.spec
    assert (spec.name, spec.question, spec.design.kind) == (
        "variant",
        "What matters?",
        "one_factor",
    )
    assert spec.set == {"strategy.warmup": 0.2, "data.pairs": 128}
    assert dict(spec.axes) == {"head.layers": [2, 4], "head.pooling": ["last", "mean"]}
    assert (spec.budget.hours, spec.budget.failures) == (1, 3)
    assert resolved.baseline.backbone.scale == "xs"


def test_parts_are_laid_over_one_another_in_order(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        first="set: {data.pairs: 1, head.layers: 3}\nreplicates: {seeds: 5}\n",
        second="set: {data.pairs: 2}\naxes: {strategy.epochs: [1, 2]}\n",
        whole="name: whole\nextends: base.yaml\ninclude: [first.yaml, second.yaml]\n",
    )

    spec = load_sweep(path / "whole.yaml")

    assert spec.set == {"strategy.warmup": 0.2, "head.layers": 3, "data.pairs": 2}
    assert spec.replicates.seeds == 5
    assert list(spec.axes) == ["head.layers", "scale", "strategy.epochs"]


def test_a_shipped_recipe_can_be_extended_and_overridden() -> None:
    folder = Path(__file__).parents[2] / "search_spaces" / "recipes"

    spec = load_sweep(folder / "paper-table-2-head.yaml", ["replicates.seeds=5"])

    assert spec.replicates.seeds == 5


def test_a_baseline_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    written(inner)
    outer = tmp_path / "outer.yaml"
    outer.write_text("name: outer\nextends: inner/base.yaml\n", encoding="utf-8")

    assert resolve_file(outer).baseline.backbone.scale == "xs"


def test_every_problem_has_the_file_and_line_it_was_written_in(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        part="\naxes:\n  strategy.epochs: [1, -1]\n",
        whole="""\
name: whole
extends: base.yaml
include: part.yaml
set:
  head.layrs: 2
axes: {head.layers: [1, 9]}
""",
    )
    part = path / "part.yaml"

    found = problems(path / "whole.yaml")

    assert found == [
        "line 5, set.head.layrs: unknown setting 'head.layrs'; did you mean 'head.layers'?",
        "line 6, axes.head.layers[1]: expected a number of at most 5, came the number 9",
        f"{part} line 3, axes.strategy.epochs[1]: expected a number above 0.0, came the number -1",
    ]


def test_files_that_name_each_other_are_refused_and_the_circle_is_named(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        one="name: one\nextends: two.yaml\n",
        two="name: two\ninclude: [base.yaml, three.yaml]\n",
        three="extends: one.yaml\n",
    )

    found = problems(path / "one.yaml")

    assert len(found) == 1
    assert "line 2, extends: " in found[0]
    assert found[0].endswith(
        "files name each other in a circle: one.yaml -> two.yaml -> three.yaml -> one.yaml"
    )


def test_a_file_may_not_extend_itself(tmp_path: Path) -> None:
    path = written(tmp_path, own="name: own\nextends: own.yaml\n")

    assert problems(path / "own.yaml") == [
        "line 2, extends: files name each other in a circle: own.yaml -> own.yaml"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "extends: bse.yaml",
            "line 2, extends: there is no file bse.yaml; did you mean 'base.yaml'",
        ),
        ("extends: [base.yaml]", "line 2, extends: expected one sweep file or recipe, came a list"),
        ("include: [3]", "line 2, include[0]: expected a file, came the number 3"),
        ("include: trainer.yaml", "is a trainer config, not a sweep; name it as `baseline`"),
        ("extends: broken.yaml", "broken.yaml: line 1, not readable as YAML"),
        (
            "extends: base.yaml\naxes: {head.layer: null}",
            "line 3, axes.head.layer: takes away the axis 'head.layer', which no other file has; "
            "did you mean 'head.layers'?",
        ),
    ],
)
def test_what_cannot_be_put_together_is_said_where_it_is_asked_for(
    tmp_path: Path, text: str, message: str
) -> None:
    path = written(tmp_path, broken="a: [", whole=f"name: whole\n{text}\n")

    found = problems(path / "whole.yaml")

    assert len(found) == 1
    assert message in found[0]


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        **{f"part{n}": "set: {data.pairs: 2}\n" for n in range(60)},
        whole=f"name: whole\ninclude: [{', '.join(f'part{n}.yaml' for n in range(60))}]\n",
    )

    assert "more than 50 files are put together" in problems(path / "whole.yaml")[0]
