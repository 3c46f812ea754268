"""A sweep file becomes a sweep, or every problem in it is named with line and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from infra.errors import InputError, MissingError, SpecError
from sweep.spec.axis_spec import AxisSpec
from sweep.spec.design_spec import DesignSpec, GridDesign
from sweep.spec.load import load_sweep, read_sweep

DESIGN_KINDS = ", ".join(
    repr(kind)
    for model in get_args(get_args(DesignSpec)[0])
    for kind in get_args(model.model_fields["kind"].annotation)
)
FILE = """\
name: reward-head
question: Does a deeper, non-linear reward head help?
baseline: basereward-tiny
set: {strategy.learning_rate: 1e-3}
axes:
  head.layers: [1, 2, 3]
  head.activation: {levels: [none, tanh, silu], when: "head.layers >= 2"}
design: {kind: grid}
replicates: {seeds: 3}
budget: {hours: 2, usd: 10, usd_per_gpu_hour: 2.5}
"""


def write(folder: Path, text: str, name: str = "sweep.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_sweep(path, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_says_what_it_says(tmp_path: Path) -> None:
    spec = load_sweep(write(tmp_path, FILE))

    assert spec.name == "reward-head"
    assert spec.set == {"strategy.learning_rate": 0.001}
    assert spec.axes["head.layers"] == [1, 2, 3]
    assert spec.axes["head.activation"] == AxisSpec(
        levels=["none", "tanh", "silu"], when="head.layers >= 2"
    )
    assert spec.design == GridDesign()


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
name: Reward Head
baseline: 3
axs: {}
axes:
  head.layers: 3
  head.activation:
    levels: [none, [tanh]]
    wen: head.layers >= 2
design: {kind: gird}
replicates: {seeds: "3", first_seed: -1}
objective: {mode: maximum}
budget: {gpu_hours: 0, usd: true}
""",
    )

    assert problems(path) == [
        "line 1, name: expected at most 63 lower-case letters, digits, '.', '_' and '-', a letter "
        "or digit first, came 'Reward Head'",
        "line 2, baseline: expected text or a mapping, came the number 3",
        "line 3, axs: unknown key 'axs'; did you mean 'axes'?",
        "line 5, axes.head.layers: expected a mapping or a list, came the number 3",
        "line 7, axes.head.activation.levels[1]: expected a single value "
        "(text, a number, true, false or null), came a list of 1",
        "line 8, axes.head.activation.wen: unknown key 'wen'; did you mean 'when'?",
        f"line 9, design: expected {DESIGN_KINDS}, came the text 'gird'; did you mean 'grid'?",
        "line 10, replicates.seeds: expected a whole number, came the text '3'",
        "line 10, replicates.first_seed: expected a number of at least 0, came the number -1",
        "line 11, objective.mode: expected 'max' or 'min', came the text 'maximum'; "
        "did you mean 'max'?",
        "line 12, budget.gpu_hours: expected a number above 0.0, came the number 0",
        "line 12, budget.usd: expected a number, came true",
    ]


def test_a_file_saved_with_a_byte_order_mark_and_windows_lines_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\r\nreplicates: {seeds: 0}\r\n")

    assert problems(path) == [
        "line 2, replicates.seeds: expected a number above 0, came the number 0"
    ]


def test_a_missing_name_is_a_problem_of_the_file(tmp_path: Path) -> None:
    assert problems(write(tmp_path, "axes: {}\n")) == [
        "line 1, name: expected a value, but the key is missing"
    ]


def test_a_trainer_config_is_not_taken_for_a_sweep(tmp_path: Path) -> None:
    path = write(tmp_path, "head: {layers: 3}\n")

    assert problems(path) == [
        "this is a trainer config, not a sweep; name it as a sweep's baseline"
    ]


def test_a_shipped_recipe_is_found_by_its_name() -> None:
    assert load_sweep("demo").name == "demo"


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(MissingError, match="did you mean 'demo'"):
        load_sweep("demos")


def test_an_unknown_file_names_the_nearest_beside_it(tmp_path: Path) -> None:
    write(tmp_path, FILE, "reward-head.yaml")

    with pytest.raises(MissingError, match=r"did you mean 'reward-head\.yaml'"):
        load_sweep(tmp_path / "reward_head.yaml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is a folder"):
        load_sweep(tmp_path)


def test_text_that_is_not_utf8_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: a\nquestion: caf\xe9\n")

    assert problems(path) == ["line 2, expected UTF-8 text, came byte 0xe9"]


def test_a_file_that_cannot_be_read_is_an_input_error(tmp_path: Path) -> None:
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)

    with pytest.raises(InputError):
        load_sweep(loop)


def test_overrides_are_put_in_before_the_file_is_checked(tmp_path: Path) -> None:
    spec = load_sweep(
        write(tmp_path, FILE),
        [
            "budget.hours=4",
            "budget.usd=",
            "replicates.seeds=5",
            "set.strategy.learning_rate=1e-4",
            "set.data.pairs=128",
            "axes.head.layers=[1, 5]",
            "axes.head.activation.levels=[tanh]",
            "axes.scale=[xs, s]",
            "axes.mine.levels={a: {head.dropout: 0.1}}",
            "design.kind=one_factor",
            "question=a=b",
        ],
    )

    assert spec.budget.hours == 4
    assert spec.budget.usd is None
    assert spec.replicates.seeds == 5
    assert spec.set == {"strategy.learning_rate": 0.0001, "data.pairs": 128}
    assert spec.axes == {
        "head.layers": [1, 5],
        "head.activation": AxisSpec(levels=["tanh"], when="head.layers >= 2"),
        "scale": ["xs", "s"],
        "mine": AxisSpec(levels={"a": {"head.dropout": 0.1}}),
    }
    assert spec.design.kind == "one_factor"
    assert spec.question == "a=b"


def test_a_later_override_wins(tmp_path: Path) -> None:
    spec = load_sweep(write(tmp_path, FILE), ["budget.hours=4", "budget.hours=5"])

    assert spec.budget.hours == 5


def test_a_problem_from_an_override_names_the_override_and_no_line(tmp_path: Path) -> None:
    path = write(tmp_path, FILE)

    assert problems(path, "budget.hours=soon") == [
        "budget.hours: expected a number, came the text 'soon' (from --set budget.hours=soon)"
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("budget.hours", "expected path=value, such as budget.hours=2"),
        ("=3", "expected path=value"),
        ("a..b=3", "expected path=value"),
        ("strategy.learning_rate=1e-4", "write set.strategy.learning_rate=..."),
        ("budgt.hours=3", "unknown key 'budgt'; did you mean 'budget'?"),
        ("baseline.head.layers=3", "write set.head.layers=..."),
        ("axes.head.layers.levels=[1]", "axes.head.layers is a list of 3, it holds no keys"),
        ("budget={", "not readable as YAML"),
    ],
)
def test_an_override_that_leads_nowhere_says_what_to_write(
    tmp_path: Path, override: str, message: str
) -> None:
    found = problems(write(tmp_path, FILE), override)

    assert len(found) == 1
    assert message in found[0]


def test_all_wrong_overrides_are_named_at_once(tmp_path: Path) -> None:
    assert len(problems(write(tmp_path, FILE), "budget.hours", "budgt.hours=3")) == 2


def test_the_source_of_a_sweep_keeps_lines_for_later_checks(tmp_path: Path) -> None:
    file = read_sweep(write(tmp_path, FILE))

    assert file.source.folder == tmp_path
    assert file.source.lines[("axes", "head.layers", 2)] == 6
