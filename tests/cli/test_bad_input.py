"""Whatever is wrong with the input: one clear error, exit 2, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command

GOOD = """\
name: small
question: Does depth help?
baseline:
  data: {pairs: 64}
  strategy: {batch_pairs: 16}
axes:
  head.layers: [1, 2]
replicates: {seeds: 2}
"""


def _file(folder: Path, text: str) -> str:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            GOOD.replace("head.layers: [1, 2]", "head.leyers: [1, 2]"),
            ["line 7", "head.leyers", "head.layers"],
            id="unknown axis",
        ),
        pytest.param(
            GOOD.replace("replicates:", "replicats:"),
            ["line 8", "replicats", "replicates"],
            id="unknown key",
        ),
        pytest.param(
            GOOD.replace("head.layers: [1, 2]", "paradigm: [scalar, critik]"),
            ["line 7", "critik", "critic"],
            id="unknown level",
        ),
        pytest.param(
            GOOD.replace(
                "head.layers: [1, 2]", "head.activation: {levels: [tanh], when: 'heat.layers >= 2'}"
            ),
            ["line 7", "heat.layers", "head.layers"],
            id="condition on a missing axis",
        ),
        pytest.param(
            GOOD + "budget: {gpu_hours: 0.0000001}\n", ["budget.gpu_hours"], id="budget too small"
        ),
        pytest.param(
            GOOD.replace("baseline:", "baseline:\n  backbone: {path: no/such/model}"),
            ["no/such/model", "config.json"],
            id="backbone path without a model",
        ),
        pytest.param(
            GOOD + "design: {kind: tpe, trials: 6, options: {startup: 3}}\n",
            ["design.options", "startup"],
            id="an option no sampler takes",
        ),
        pytest.param("", ["empty"], id="empty file"),
        pytest.param("name: [", ["line 1"], id="broken YAML"),
    ],
)
def test_a_bad_sweep_file_is_refused_with_its_reason(
    rmsweep: Command, tmp_path: Path, text: str, said: list[str]
) -> None:
    answer = rmsweep("check", _file(tmp_path, text))

    assert answer.code == 2
    assert "Traceback" not in answer.err + answer.out
    for part in said:
        assert part in answer.err


def test_every_problem_of_a_file_is_named_at_once(rmsweep: Command, tmp_path: Path) -> None:
    text = GOOD.replace("head.layers", "head.leyers").replace("replicates:", "replicats:")

    answer = rmsweep("check", _file(tmp_path, text))

    assert "head.leyers" in answer.err
    assert "replicats" in answer.err


def test_a_file_that_does_not_exist_is_named(rmsweep: Command) -> None:
    answer = rmsweep("run", "no-such-sweep.yaml")

    assert answer.code == 2
    assert "no-such-sweep.yaml" in answer.err


@pytest.mark.parametrize("verb", ["show", "resume", "stop", "report", "ensemble"])
def test_a_sweep_that_does_not_exist_is_named(rmsweep: Command, verb: str) -> None:
    answer = rmsweep(verb, "nobody")

    assert answer.code == 2
    assert "nobody" in answer.err


@pytest.mark.parametrize("verb", ["report", "ensemble"])
def test_neither_sweep_nor_scores_is_refused(rmsweep: Command, verb: str, tmp_path: Path) -> None:
    answer = rmsweep(verb)

    assert answer.code == 2
    assert "name a sweep, or a folder of score tables with --scores" in answer.err

    answer = rmsweep(verb, "--scores", str(tmp_path / "none"))

    assert answer.code == 2
    assert "is no folder" in answer.err


def test_a_model_to_score_with_that_does_not_exist_is_named(
    rmsweep: Command, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"prompt": "p", "chosen": "a", "rejected": "b"}\n')

    answer = rmsweep("score", str(tmp_path / "none.json"), str(pairs))

    assert answer.code == 2
    assert "none.json" in answer.err


def test_listing_an_empty_ledger_is_no_error(rmsweep: Command) -> None:
    assert rmsweep("ls").code == 0
    assert rmsweep("ls", "--json").out.strip() == "[]"


@pytest.mark.parametrize(
    "arguments",
    [["--nonsense"], ["check"], ["no-such-verb"], ["check", "demo", "--devices", "9" * 400]],
)
def test_wrong_usage_exits_with_two(rmsweep: Command, arguments: list[str]) -> None:
    assert rmsweep(*arguments).code == 2
