"""Answers are what the scene says, and the words alone do not tell which is right."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trainer.data.scene_reading import is_true
from tests.trainer.data.text_shortcut import text_only_accuracy
from trainer.config import SourceConfig
from trainer.data.items import PreferenceItem
from trainer.data.randomness import Draws
from trainer.data.scene_drawing import SceneImage
from trainer.data.scene_questions import CATEGORIES, CATEGORY_WEIGHTS, allows, ask, questions
from trainer.data.scenes import LEVELS, Difficulty, draw_scene
from trainer.data.sources import PreferenceSource, open_source


def scenes_source(**settings: object) -> PreferenceSource:
    return open_source(SourceConfig(kind="scenes", settings=settings))


@given(
    st.integers(0, 2**32),
    st.sampled_from(sorted(LEVELS)),
    st.sampled_from(CATEGORIES),
    st.integers(),
)
def test_the_right_answer_is_right_and_the_wrong_one_wrong(
    seed: int, difficulty: Difficulty, category: str, stream: int
) -> None:
    scene = draw_scene(Draws("test", seed), difficulty)
    question = ask(scene, category, Draws("asking", stream))

    assert (question is not None) == allows(scene, category)
    if question is not None:
        assert is_true(scene, question.prompt, question.right)
        assert not is_true(scene, question.prompt, question.wrong)


def test_every_item_of_the_source_is_labelled_as_its_scene_says() -> None:
    for difficulty in LEVELS:
        for item in scenes_source(difficulty=difficulty).items("train", 500, seed=4):
            image = item.images[0]
            assert isinstance(image, SceneImage)
            for response in item.responses:
                assert is_true(image.scene, item.prompt, response.text) == (response.rank == 1)


def test_critiques_state_evidence_and_verdict_in_few_words() -> None:
    for item in scenes_source(difficulty="hard", label_noise=0.0).items("train", 500, seed=0):
        best, worst = sorted(item.responses, key=lambda response: response.rank)
        assert best.critique.endswith(", so this is right.")
        assert worst.critique.endswith(", so this is wrong.")
        assert best.critique.split(",")[0] == worst.critique.split(",")[0]
        assert len(best.critique.split()) <= 14


@pytest.mark.parametrize("difficulty", sorted(LEVELS))
def test_the_words_alone_leave_a_model_near_chance(difficulty: str) -> None:
    source = scenes_source(difficulty=difficulty)
    items = source.items("train", 4000, seed=0)

    # 1500 pairs: chance is 50 % give or take 2.6 %.
    assert text_only_accuracy(items[:2500], items[2500:]) <= 0.55


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_category_can_be_answered_blind(category: str) -> None:
    source = scenes_source(difficulty="hard", categories=[category], questions_per_scene=1)
    items = source.items("train", 2500, seed=0)

    assert text_only_accuracy(items[:1700], items[1700:]) <= 0.58


def test_right_and_wrong_answers_are_drawn_from_one_distribution() -> None:
    items = scenes_source(categories=["count"], questions_per_scene=1).items("train", 4000, seed=0)
    words = [Counter(_number_said(item, rank) for item in items) for rank in (1, 2)]

    for number in words[0] | words[1]:
        assert abs(words[0][number] - words[1][number]) <= 0.04 * len(items)


def test_categories_come_in_their_default_proportions() -> None:
    items = scenes_source(difficulty="hard", questions_per_scene=1).items("train", 3000, seed=0)
    shares = Counter(item.category for item in items)
    weights = CATEGORY_WEIGHTS["hard"]

    assert set(shares) == set(weights)
    for category, weight in weights.items():
        expected = weight / sum(weights.values())
        assert shares[category] / len(items) == pytest.approx(expected, abs=0.04)


def test_several_questions_of_a_scene_differ_in_category() -> None:
    items = scenes_source(questions_per_scene=3).items("train", 300, seed=0)
    asked = Counter((item.group_id, item.category) for item in items)
    per_scene = Counter(group for group, _ in asked)

    assert max(asked.values()) == 1
    assert sum(count == 3 for count in per_scene.values()) > 0.8 * len(per_scene)


def test_questions_cover_every_category_a_scene_allows() -> None:
    scene = draw_scene(Draws("test", 3), "hard")

    assert {question.category for question in questions(scene)} == {
        category for category in CATEGORIES if allows(scene, category)
    }


def _number_said(item: PreferenceItem, rank: int) -> str:
    return next(response.text for response in item.responses if response.rank == rank).split()[2]
