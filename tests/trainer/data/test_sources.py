"""Every kind of source keeps the contract; kinds and settings are checked by name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from infra.errors import DataError, SpecError
from tests.trainer.data.pair_file_writing import text_row, write_image, write_rows
from tests.trainer.data.source_contract import PreferenceSourceContract
from trainer.config import SourceConfig
from trainer.data import sources
from trainer.data.sources import open_source, source_kinds, source_settings


class TestSceneSource(PreferenceSourceContract):
    @pytest.fixture
    def config(self) -> SourceConfig:
        return SourceConfig(kind="scenes", settings={"difficulty": "hard"})


class TestDigitSource(PreferenceSourceContract):
    @pytest.fixture
    def config(self) -> SourceConfig:
        return SourceConfig(kind="digits")


class TestTextSource(PreferenceSourceContract):
    @pytest.fixture
    def config(self) -> SourceConfig:
        return SourceConfig(kind="text")


class TestPairFileSource(PreferenceSourceContract):
    at_least = 15

    @pytest.fixture
    def config(self, tmp_path: Path) -> SourceConfig:
        rows = [text_row(number) for number in range(250)]
        for number in range(120):
            write_image(tmp_path / "pictures" / f"{number}.png", number)
        # Neighbouring rows share an image, and every row asks the same.
        rows += [
            text_row(number, prompt="What is shown?", image=f"pictures/{number % 120}.png")
            for number in range(240)
        ]
        path = write_rows(tmp_path / "pairs.jsonl", rows)
        return SourceConfig(kind="file", settings={"path": str(path)})


def test_an_unknown_kind_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DataError, match="unknown data source kind 'scene'; did you mean 'scenes'"):
        open_source(SourceConfig(kind="scene"))


def test_a_kind_unlike_any_other_is_refused_with_all_there_are() -> None:
    with pytest.raises(DataError, match=r"known: scenes, .*, file"):
        open_source(SourceConfig(kind="parquet"))


def test_every_wrong_setting_is_named_at_once() -> None:
    wrong = SourceConfig(
        kind="scenes", settings={"difficulty": "eazy", "label_noise": 2, "size": 3}
    )

    with pytest.raises(SpecError) as caught:
        source_settings(wrong)

    assert "data source 'scenes' has 3 problems" in str(caught.value)
    assert "did you mean 'easy'?" in str(caught.value)
    assert {problem.path for problem in caught.value.problems} == {
        "difficulty", "label_noise", "size",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"categories": {"count": 0}}, "positive weight", id="no category"),
        pytest.param({"categories": []}, "positive weight", id="empty list"),
        pytest.param(
            {"categories": ["count"], "questions_per_scene": 2},
            r"questions_per_scene \(2\) must not exceed",
            id="too many questions",
        ),
    ],
)
def test_settings_that_allow_no_question_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(SpecError, match=message):
        open_source(SourceConfig(kind="scenes", settings=settings))


def test_checking_the_settings_of_a_file_source_does_not_look_for_the_file() -> None:
    source_settings(SourceConfig(kind="file", settings={"path": "not/there.jsonl"}))


class ThreeItems:
    """A source as a user's package might bring it."""

    settings_type = sources.source_settings(SourceConfig(kind="text")).__class__

    def __init__(self, settings: object) -> None:
        self.settings = settings


def _installed(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint) -> None:
    monkeypatch.setattr(
        sources, "entry_points", lambda group: EntryPoints(points).select(group=group)
    )
    source_kinds.cache_clear()


@pytest.fixture
def _forget_kinds() -> Iterator[None]:
    yield
    source_kinds.cache_clear()


@pytest.mark.usefixtures("_forget_kinds")
def test_an_installed_package_can_add_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brought_by_a_user", sys.modules[__name__])
    _installed(monkeypatch, EntryPoint("three", "brought_by_a_user:ThreeItems", "rmsweep.sources"))

    assert isinstance(open_source(SourceConfig(kind="three")), ThreeItems)


@pytest.mark.usefixtures("_forget_kinds")
def test_an_installed_package_cannot_replace_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, EntryPoint("scenes", "mine:Scenes", "rmsweep.sources"))

    with pytest.raises(DataError, match="defined twice"):
        source_kinds()


def test_a_broken_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, EntryPoint("three", "no_such_module_here:Three", "rmsweep.sources"))

    with pytest.raises(DataError, match=r"'three' .* cannot be loaded"):
        open_source(SourceConfig(kind="three"))
