"""Lists, caps and temperature: what a mix draws from each source, and that it is told apart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infra.errors import DataError
from search_spaces.data_mix import AXIS
from search_spaces.name_checks import name_findings
from search_spaces.patches import apply_patch
from tests.trainer.data.pair_file_writing import text_row, write_rows
from trainer.config import DataConfig, SourceConfig, TrainerConfig
from trainer.data import item_index
from trainer.data.mixed_items import MixedItems
from trainer.data.mixture import data_digests, training_counts, training_items
from trainer.identity import active_settings


def files(tmp_path: Path, **sizes: int) -> dict[str, SourceConfig]:
    sources = {}
    for name, size in sizes.items():
        rows = [text_row(n, prompt=f"{name} {n}?") for n in range(size)]
        path = write_rows(tmp_path / f"{name}.jsonl", rows)
        sources[name] = SourceConfig(kind="file", settings={"path": str(path), "split": "train"})
    return sources


def mix(**settings: Any) -> DataConfig:  # noqa: ANN401 -- any setting
    return DataConfig.model_validate(settings)


def test_a_source_left_out_leaves_the_others_their_proportions() -> None:
    config = mix(weights={"scenes": 2, "digits": 1, "text": 3}, leave_out=["text"], pairs=300)

    assert training_counts(config) == {"scenes": 200, "digits": 100}


def test_a_source_added_in_takes_its_weight_or_the_mean() -> None:
    assert mix(weights={"scenes": 2, "digits": 4}, add_in=["text"]).mix["text"] == 3
    assert mix(weights={"scenes": 2, "text": 0}, add_in=["text"]).mix["text"] == 2
    assert mix(weights={"scenes": 2, "text": 5}, add_in=["text"]).mix["text"] == 5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": {"scenes": 1}, "leave_out": ["scenes"]}, "positive weight"),
        ({"leave_out": ["digits"], "add_in": ["digits"]}, "both left out and added in"),
        ({"temperature": 0.5}, "greater than or equal to 1"),
    ],
)
def test_lists_that_say_nothing_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        mix(**settings)


def test_a_mix_is_the_same_training_however_it_is_written() -> None:
    written: list[dict[str, Any]] = [
        {"weights": {"scenes": 1, "digits": 1}},
        {"weights": {"scenes": 2, "digits": 2, "text": 5}, "leave_out": ["text"]},
        {"weights": {"scenes": 1}, "add_in": ["digits"]},
    ]
    settings = [active_settings(TrainerConfig(data=mix(**each)))["data"] for each in written]

    assert settings[0] == settings[1] == settings[2]


@pytest.mark.parametrize(
    ("temperature", "counts"),
    [(1, {"large": 1000, "small": 10}), (2, {"large": 918, "small": 92}), (1e6, {"large": 505})],
)
def test_temperature_goes_from_size_to_weight(
    tmp_path: Path, temperature: float, counts: dict[str, int]
) -> None:
    sources = files(tmp_path, large=1000, small=10)
    config = mix(
        weights={"large": 1, "small": 1}, sources=sources, pairs=1010, temperature=temperature
    )

    assert training_counts(config) == {"small": 505, **counts}


def test_temperature_needs_sources_that_have_a_size() -> None:
    with pytest.raises(DataError, match="'scenes' never runs out"):
        training_counts(mix(temperature=2))


def test_a_cap_limits_different_items_and_the_share_is_filled(tmp_path: Path) -> None:
    sources = files(tmp_path, a=100, b=100)
    config = mix(weights={"a": 1, "b": 1}, sources=sources, pairs=80, caps={"a": 10})
    times = Counter(item.item_id for item in training_items(config) if item.source == "a")

    assert set(times.values()) == {4}
    assert len(times) == 10
    assert data_digests(config) != data_digests(config.model_copy(update={"caps": {}}))


def test_a_mix_of_large_sources_is_made_as_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMSWEEP_HOME", str(tmp_path / "home"))
    settings: dict[str, Any] = {
        "weights": {"a": 2, "b": 1, "text": 1}, "sources": files(tmp_path, a=700, b=600),
        "pairs": 2000, "caps": {"b": 50}, "duplicates": "drop",
    }  # fmt: skip
    small = training_items(mix(**settings))
    monkeypatch.setattr(item_index, "IN_MEMORY_BYTES", 1000)
    large = training_items(mix(**settings))

    assert isinstance(small, list)
    assert isinstance(large, MixedItems)
    assert list(large) == small
    assert large[-1] == small[-1]
    assert large[998:1003] == small[998:1003]
    with pytest.raises(IndexError):
        large[2000]


def test_levels_of_the_mix_say_alone_what_is_drawn() -> None:
    baseline = TrainerConfig(data=mix(weights={"scenes": 1, "digits": 1}, leave_out=["digits"]))
    levels = {level.name: level for level in AXIS.levels(baseline)}

    chosen = apply_patch(baseline, levels["scenes+digits"].patch)
    assert set(chosen.data.mix) == {"scenes", "digits"}


def test_unknown_names_in_lists_are_findings() -> None:
    config = TrainerConfig(
        data=mix(leave_out=["digit"], add_in=["texts"], caps={"scene": 3},
                 decontaminate={"against": ["vlrb"]})
    )  # fmt: skip
    places = {finding.location for finding in name_findings(config)}

    assert places == {
        ("data", "leave_out", 0), ("data", "add_in", 0), ("data", "caps", "scene"),
        ("data", "decontaminate", "against", 0),
    }  # fmt: skip
