"""The `scenes` source: questions about drawn scenes, right and wrong answers, critiques.

A group is a scene; its questions stand together. Nothing in the words tells which answer is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from itertools import count
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from trainer.config import NonNegative
from trainer.data.generated import DrawnGroup, GeneratedSettings, GeneratedSource
from trainer.data.items import PreferenceItem
from trainer.data.questions import question_item
from trainer.data.randomness import Draws
from trainer.data.scene_drawing import DRAWING_VERSION, SceneImage
from trainer.data.scene_questions import CATEGORY_WEIGHTS, allows, ask
from trainer.data.scenes import SCENES_VERSION, Difficulty, Scene, draw_scene

Category = Literal["colour", "shape", "exists", "position", "count", "relation", "compare"]


class SceneSettings(GeneratedSettings):
    """Settings of the `scenes` source."""

    difficulty: Difficulty = "medium"
    """How many objects and how much clutter, and which questions."""
    image_size: Annotated[int, Field(ge=28, le=1024)] = 56
    """Pixels per side."""
    categories: tuple[Category, ...] | dict[Category, NonNegative] | None = None
    """Kinds of question: a list asks all alike, a mapping gives weights; absent, the difficulty's
    own mix."""
    questions_per_scene: PositiveInt = 2
    """Questions about one image, each of another category."""

    @property
    def category_weights(self) -> Mapping[str, float]:
        """Share of the questions by category, positive ones only."""
        if isinstance(self.categories, tuple):
            return dict.fromkeys(self.categories, 1.0)
        own = CATEGORY_WEIGHTS[self.difficulty]
        weights = own if self.categories is None else {**self.categories}
        return {name: weight for name, weight in weights.items() if weight > 0}

    @model_validator(mode="after")
    def _has_categories_enough(self) -> SceneSettings:
        available = len(self.category_weights)
        if self.categories is not None and not available:
            raise ValueError("categories needs one with a positive weight")
        if self.questions_per_scene > available:
            raise ValueError(
                f"questions_per_scene ({self.questions_per_scene}) must not exceed the number of "
                f"categories ({available}): questions of one scene are of different categories"
            )
        return self


class SceneSource(GeneratedSource[SceneSettings]):
    """Questions about scenes; never runs out."""

    settings_type = SceneSettings
    kind = "scenes"
    version = f"{SCENES_VERSION}.{DRAWING_VERSION}"

    def groups(self, seed: int) -> Iterator[DrawnGroup]:
        """One group per scene, without end."""
        settings = self.settings
        weights = tuple(settings.category_weights.items())
        for index in count():
            categories, scene = _scene(
                settings.difficulty, seed, index, weights, settings.questions_per_scene
            )
            yield scene.group_id, partial(self._ask, scene, categories)

    def _ask(self, scene: Scene, categories: tuple[str, ...]) -> list[PreferenceItem]:
        image = SceneImage(scene, self.settings.image_size)
        items = []
        for category in categories:
            question = ask(scene, category, Draws("question", scene.group_id, category))
            if question is not None:
                items.append(
                    question_item(
                        question,
                        item_id=f"{scene.group_id}-{category}",
                        group_id=scene.group_id,
                        source=self.kind,
                        images=(image,),
                    )
                )
        return items


# Every split of a source walks the same scenes in search of its own: a trial with three benchmarks
# would draw most of them four times, a third of what it takes to start.
@lru_cache(maxsize=16384)
def _scene(
    difficulty: Difficulty,
    seed: int,
    index: int,
    weights: tuple[tuple[str, float], ...],
    questions: int,
) -> tuple[tuple[str, ...], Scene]:
    """The categories a scene is asked about, and the scene."""
    key = (SCENES_VERSION, difficulty, seed, index)
    categories = _distinct(Draws("categories", *key), dict(weights), questions)
    allows_them = partial(_allows_all, categories=categories)
    return categories, draw_scene(Draws("scene", *key), difficulty, allows_them)


def _distinct(draws: Draws, weights: Mapping[str, float], number: int) -> tuple[str, ...]:
    left = dict(weights)
    chosen = []
    for _ in range(number):
        category = draws.pick_weighted(left)
        del left[category]
        chosen.append(category)
    return tuple(chosen)


def _allows_all(scene: Scene, categories: tuple[str, ...]) -> bool:
    return all(allows(scene, category) for category in categories)
