"""What stands around a prompt: the chat template's turn and the placeholders of its images.

The prompt is put in after its frame is tokenized, so no prompt can forge an image or the end of its
turn. One frame serves all prompts whose images have the same shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from infra.errors import BackboneError
from trainer.model.backbone_families import Family
from trainer.model.backbone_inputs import ImageInput

_PROMPT = "\ue000"
"""A private-use character that stands for the prompt while its layout is rendered."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Tokens before and after a prompt."""

    before: tuple[int, ...]
    space: str
    """Belongs to the prompt's first word."""
    after: tuple[int, ...]


class PromptFrames:
    """The frames of one tokenizer, made when first needed."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, family: Family | None) -> None:
        self._tokenizer = tokenizer
        self._family = family
        self._known: dict[tuple[tuple[int, tuple[int, ...], bool], ...], Frame] = {}

    def around(self, images: Sequence[ImageInput]) -> Frame:
        """The frame of a prompt that shows these images first.

        Raises:
            BackboneError: If the chat template cannot be rendered, or leaves the prompt out.
        """
        shapes = tuple((image.tokens, image.grid, image.alone) for image in images)
        if shapes not in self._known:
            layout = self._layout(images)
            if layout.count(_PROMPT) != 1:
                raise BackboneError(
                    "expected the backbone's chat template to show a prompt once, but it shows "
                    f"one {layout.count(_PROMPT)} times; is chat_template.jinja whole?"
                )
            before, after = layout.split(_PROMPT)
            stem = before.rstrip(" ")
            space = before[len(stem) :]
            self._known[shapes] = Frame(tuple(self._ids(stem)), space, tuple(self._ids(after)))
        return self._known[shapes]

    def _layout(self, images: Sequence[ImageInput]) -> str:
        assert self._family is not None or not images
        placeholder = self._family.placeholder if self._family is not None and images else ""
        if self._tokenizer.chat_template is None:
            rendered = f"{placeholder * len(images)}{_PROMPT}\n"
        else:
            parts = [*[{"type": "image"}] * len(images), {"type": "text", "text": _PROMPT}]
            message = {"role": "user", "content": parts if images else _PROMPT}
            try:
                rendered = str(
                    self._tokenizer.apply_chat_template(
                        [message], tokenize=False, add_generation_prompt=True
                    )
                )
            except Exception as error:  # a template is code, and raises what it likes
                raise BackboneError(
                    f"the backbone's chat template cannot be rendered: {error}; is "
                    "chat_template.jinja whole?"
                ) from error
        if self._family is None or not images:
            return rendered
        pieces = rendered.split(placeholder)
        expanded = [self._family.expansion(image) for image in images]
        return pieces[0] + "".join(a + b for a, b in zip(expanded, pieces[1:], strict=True))

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
