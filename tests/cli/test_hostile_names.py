"""Names that try to be more than names: to a path, SQL, a shell, an address, a filter."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Command

HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "x'; DROP TABLE sweeps; --",
    "x' OR '1'='1",
    "%",
    "$(touch owned)",
    "`touch owned`",
    "a; touch owned",
    "-rf",
    "x%00y",
    "x?token=1#f",
    "<script>alert(1)</script>",
    "x\ny",
]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b", "x\ny", "", ".x"])
def test_a_benchmark_cannot_be_called_that(rmsweep: Command, tmp_path: Path, name: str) -> None:
    file = tmp_path / "sweep.yaml"
    named = {"evaluation": {"benchmarks": {"validation": {}, name: {"split": "test"}}}}
    file.write_text(yaml.safe_dump({"name": "s", "baseline": named, "axes": {"head.layers": [1]}}))

    answer = rmsweep("check", str(file))

    assert answer.code == 2
    assert "scores lie in files named like their benchmark" in answer.err


@pytest.mark.parametrize("name", HOSTILE)
def test_a_sweep_cannot_be_called_that(rmsweep: Command, tmp_path: Path, name: str) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump({"name": name, "baseline": {}, "axes": {"head.layers": [1]}}))

    answer = rmsweep("check", str(file))

    assert answer.code == 2
    assert "name: expected at most 63 lower-case letters" in answer.err
    assert "Traceback" not in answer.err


def test_a_very_long_name_is_refused_in_a_few_words(rmsweep: Command, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    name = "<i>" * 30_000
    file.write_text(f"name: '{name}'\nbaseline: {{}}\naxes: {{head.layers: [1]}}\n")

    answer = rmsweep("check", str(file))

    assert answer.code == 2
    assert "of 90,000 letters" in answer.err
    assert len(answer.err) < 2000


@pytest.mark.parametrize("name", HOSTILE)
def test_no_sweep_is_found_by_that(rmsweep: Command, home: Path, name: str) -> None:
    for verb in ("show", "status", "stop"):
        answer = rmsweep(verb, "--", name)

        assert answer.code == 2, (verb, answer)
        assert "Traceback" not in answer.err
    assert rmsweep("ls", "--json").code == 0, "the ledger is as it was"
    assert not Path("owned").exists()
