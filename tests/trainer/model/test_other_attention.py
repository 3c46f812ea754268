"""Language models whose attention is not ours to steer: read row by row, and scored as they are."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    GPTJConfig,
    GPTJForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    StableLmConfig,
    StableLmForCausalLM,
)

from tests.trainer.model.test_reward_model import config_of, examples_of, items_for
from tests.trainer.tiny_models import NARROW
from trainer.model.backbone import Backbone
from trainer.model.reward_model import RewardModel
from trainer.pretraining.architectures import spread_weights
from trainer.pretraining.tokenizer import train_tokenizer
from trainer.prompting.examples import Examples

Classes = tuple[type[PreTrainedConfig], type[PreTrainedModel]]
MISTRAL: Classes = (MistralConfig, MistralForCausalLM)


def backbone_of(classes: Classes, **settings: object) -> Backbone:
    tokenizer = train_tokenizer((), vocabulary_size=0, model_type="llama")
    ends = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    values = {**NARROW.text, **ends, "bos_token_id": None, "vocab_size": len(tokenizer), **settings}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = classes[1](classes[0](**values))
        spread_weights(module)
    return Backbone(module.eval(), tokenizer)


def scored_alone(model: RewardModel, examples: Examples) -> torch.Tensor:
    """Every prompt and response as a row of its own through the vendor's forward."""
    assert model.head is not None
    trees = [example.tree for example in examples.take(range(len(examples)))]
    rows = [[*tree.trunk, *branch] for tree in trees for branch in tree.branches]
    states = [model.module.base_model(input_ids=torch.tensor([row]))[0][0, -1] for row in rows]
    return torch.as_tensor(model.head(torch.stack(states)))


@pytest.mark.parametrize(
    ("classes", "settings"),
    [
        (MISTRAL, {"sliding_window": 8}),
        ((Phi3Config, Phi3ForCausalLM), {"sliding_window": 8}),
        ((StableLmConfig, StableLmForCausalLM), {}),
        ((GPTJConfig, GPTJForCausalLM), {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    ],
    ids=["window of Mistral", "window of Phi-3", "no layout in StableLM", "no layout in GPT-J"],
)
def test_what_a_tree_mask_cannot_steer_is_scored_as_the_vendor_s_rows_are(
    classes: Classes, settings: dict[str, object]
) -> None:
    backbone = backbone_of(classes, **settings)
    model = RewardModel(backbone, config_of("scalar")).eval()
    examples = examples_of(backbone, items_for(backbone), "scalar")

    with torch.no_grad():
        scores = model(examples.batch(range(len(examples))))["scores"]
        alone = scored_alone(model, examples)

    torch.testing.assert_close(scores, alone, atol=1e-5, rtol=0)


def test_a_window_that_no_row_outgrows_takes_no_sharing_away() -> None:
    assert not backbone_of(MISTRAL, sliding_window=8).shares_prompts
    assert backbone_of(MISTRAL, sliding_window=None).shares_prompts
    assert backbone_of(MISTRAL, sliding_window=512, max_position_embeddings=512).shares_prompts
