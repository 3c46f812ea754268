"""The byte-level tokenizer of the tiny backbones: any Unicode text has tokens, none is unknown."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
QWEN_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
INTERNVL_TOKENS = ("<img>", "</img>", "<IMG_CONTEXT>")
ONEVISION_TOKENS = ("<image>", "<video>")
SMOLVLM_TOKENS = ("<fake_token_around_image>", "<global-img>")
SPECIAL_TOKENS = (
    PAD, START, END, *QWEN_TOKENS, *INTERNVL_TOKENS, *ONEVISION_TOKENS, *SMOLVLM_TOKENS,
)  # fmt: skip
"""One list for all families, so that ids and rows mean the same in every tiny backbone."""

IMAGE_LAYOUTS = {
    "qwen2_5_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "internvl": "<IMG_CONTEXT>\n",
    "llava_onevision": "<image>\n",
    "smolvlm": "<image>",
}
"""What stands for an image in a user's turn, by architecture, as the real models write it."""

# Words take the space before them, digits stand alone, so that numbers keep their place value.
_PIECES = r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"


def train_tokenizer(
    texts: Iterable[str], *, vocabulary_size: int, model_type: str = "qwen2_5_vl"
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a chat template; no texts give plain bytes."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[AddedToken(token, special=True) for token in SPECIAL_TOKENS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(SPECIAL_TOKENS),
        chat_template=chat_template(model_type),
        clean_up_tokenization_spaces=False,
    )


def chat_template(model_type: str) -> str:
    """ChatML, with this architecture's image layout; content is text or a list of parts."""
    image = IMAGE_LAYOUTS.get(model_type, "").replace("\n", "\\n")
    return (
        "{% for message in messages %}<|im_start|>{{ message['role'] + '\\n' }}"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}{{ '"
        + image
        + "' }}{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{% endif %}<|im_end|>{{ '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
