"""What is listed as a setting is what a sweep file may set."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.errors import MissingError
from search_spaces.setting_rows import setting_rows
from sweep.spec.resolve import resolve
from sweep.spec.sweep_spec import SweepSpec
from trainer.config import TrainerConfig


def _value_at(config: TrainerConfig, path: str) -> Any:  # noqa: ANN401 -- any setting
    value: Any = config.model_dump(mode="json")
    for part in path.split("."):
        value = value[part]
    return value


def test_every_setting_says_what_it_is_and_what_it_may_be() -> None:
    for row in setting_rows():
        assert row["doc"], row
        assert row["allowed"], row


def test_defaults_are_those_of_the_trainer() -> None:
    config = TrainerConfig()

    assert all(row["default"] == _value_at(config, row["name"]) for row in setting_rows())


def test_every_listed_setting_can_be_set_in_a_sweep_file_to_its_default() -> None:
    defaults = {row["name"]: row["default"] for row in setting_rows() if row["name"] != "seed"}

    resolved = resolve(SweepSpec.model_validate({"name": "all", "set": defaults}))

    ours = resolved.baseline.model_dump(mode="json", exclude={"seed"})
    assert ours == TrainerConfig().model_dump(mode="json", exclude={"seed"})


def test_a_section_lists_what_is_in_it() -> None:
    names = [row["name"] for row in setting_rows("strategy.lora")]

    assert names == [f"strategy.lora.{name}" for name in ("rank", "alpha", "dropout", "targets")]


def test_what_a_setting_may_be_is_told_in_words() -> None:
    told = {row["name"]: row["allowed"] for row in setting_rows()}

    assert told["head.layers"] == "integer from 1 to 5"
    assert told["strategy.label_smoothing"] == "number from 0 below 0.5"
    assert told["paradigm"] == "scalar, critic, generative"
    assert told["strategy.steps"] == "integer above 0 or nothing"


def test_an_unknown_setting_is_met_with_the_nearest() -> None:
    with pytest.raises(MissingError, match=r"strategy\.learning_rate"):
        setting_rows("strategy.learning_rte")


def test_rows_are_plain_json() -> None:
    assert json.loads(json.dumps(setting_rows())) == setting_rows()
