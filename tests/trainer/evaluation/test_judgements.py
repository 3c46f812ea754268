"""A judge that writes: what it writes and decides side by side is what it does alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from infra.errors import BackboneError
from infra.object_store import LocalStore
from tests.trainer.gangs.laid_out import scores_of, train
from tests.trainer.tiny_models import tiny_backbone
from tests.trainer.trials import small_config
from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem, Response
from trainer.data.mixture import training_items
from trainer.evaluation.judgements import write_judgements
from trainer.evaluation.metrics import benchmark_metrics
from trainer.gangs.gang import Gang
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import Examples, TokenizedExample
from trainer.prompting.prompts import REASONS_CLOSING, REASONS_OPENING, presentations

ALONE = Gang(0, 1, torch.device("cpu"))


def model_of(kind: str, **judge: Any) -> RewardModel:  # noqa: ANN401
    config = TrainerConfig.model_validate({"paradigm": "generative", "judge": judge})
    return RewardModel(tiny_backbone(kind), config).eval()


def examples_of(model: RewardModel, count: int = 4, *, training: bool = False) -> Examples:
    data = {"pairs": count, "weights": {"text": 1.0}}
    items = training_items(TrainerConfig.model_validate({"data": data}).data)
    return Examples(
        items,
        model.backbone,
        "generative",
        critiques=training,
        frozen_vision=True,
        chunks=[range(count)],
        judge=model.config.judge,
    )


def states_of(model: RewardModel, row: list[int]) -> torch.Tensor:
    return model.backbone.hidden_states(
        input_ids=torch.tensor([row]), position_ids=model.backbone.positions([row])
    )[0]


def written_alone(
    model: RewardModel, example: TokenizedExample, branch: int
) -> tuple[int, torch.Tensor]:
    """The plainest way: every step reads the whole row again."""
    backbone = model.backbone
    closing = backbone.encode_text(REASONS_CLOSING)
    row = [*example.tree.trunk.tolist(), *example.tree.branches[branch].tolist()]
    said: list[int] = []
    while len(said) < model.config.judge.max_written_tokens and said[-len(closing) :] != closing:
        token = int(backbone.language_head(states_of(model, row + said)[-1]).argmax())
        if token == backbone.eos_token_id:
            break
        said.append(token)
    written = len(said)
    if said[-len(closing) :] != closing:
        said += closing
    return written, model.read_verdicts(states_of(model, row + said)[-1:])["verdicts"][0]


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "llama"])
@torch.no_grad()
def test_reasons_grown_side_by_side_end_in_the_verdicts_of_those_written_alone(kind: str) -> None:
    model = model_of(kind, reasoning=True, max_written_tokens=6)
    batch = examples_of(model).batch(range(4))
    # Some have to end early: a token that is written often becomes the end.
    first = write_judgements(model, batch, ALONE)[1]
    row = [*batch.examples[0].tree.trunk.tolist(), *batch.examples[0].tree.branches[0].tolist()]
    model.backbone.eos_token_id = int(
        model.backbone.language_head(states_of(model, row)[-1]).argmax()
    )

    outputs, written = write_judgements(model, batch, ALONE)

    expected = [
        written_alone(model, example, branch) for example in batch.examples for branch in range(2)
    ]
    assert written == sum(count for count, _ in expected) < first
    torch.testing.assert_close(
        outputs["verdicts"], torch.stack([v for _, v in expected]), rtol=1e-4, atol=1e-4
    )


@torch.no_grad()
def test_closing_words_the_model_writes_itself_end_its_reasons() -> None:
    model = model_of("llama", reasoning=True, max_written_tokens=20)
    batch = examples_of(model).batch(range(4))
    closing = model.backbone.encode_text(REASONS_CLOSING)
    script = [*model.backbone.encode_text(" x"), *closing]
    head = model.backbone.module.get_output_embeddings()
    step = [0]

    def say(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        if step[0] < len(script):
            logits = torch.zeros_like(logits)
            logits[:, script[step[0]]] = 1.0
        step[0] += 1
        return logits

    head.register_forward_hook(say)

    _, written = write_judgements(model, batch, ALONE)

    assert written == len(script) * 8
    assert step[0] == len(script) + 1  # once more, for the verdict


@pytest.mark.parametrize(
    ("text", "scores", "parsed"),
    [
        (" A", (1.0, 0.0), True),
        (" [[B]]", (0.0, 1.0), True),
        (" equally good", (0.5, 0.5), True),
        (" circles", (0.5, 0.5), False),
    ],
)
@torch.no_grad()
def test_a_verdict_in_words_is_read_and_an_unreadable_one_prefers_nobody(
    text: str, scores: tuple[float, float], parsed: bool
) -> None:
    model = model_of("llama", verdict="text", max_written_tokens=40)
    batch = examples_of(model).batch(range(4))
    script = [*model.backbone.encode_text(text), model.backbone.eos_token_id]
    step = [0]

    def say(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros_like(logits)
        logits[:, script[step[0]]] = 1.0
        step[0] += 1
        return logits

    model.backbone.module.get_output_embeddings().register_forward_hook(say)

    outputs, written = write_judgements(model, batch, ALONE)

    assert outputs["verdicts"].tolist() == [list(scores)] * 8
    assert outputs["parsed"].tolist() == [float(parsed)] * 8
    assert written == (len(script) - 1) * 8


@torch.no_grad()
def test_a_judge_that_was_never_taught_to_end_says_its_verdict_in_one_word() -> None:
    model = model_of("llama", verdict="text", max_written_tokens=12)
    batch = examples_of(model).batch(range(4))
    assert model.verdicts is not None
    first, second = model.verdicts
    step = [0]

    def say(_module: object, _inputs: object, logits: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros_like(logits)
        logits[:, (second, first)[step[0] % 2]] = 1.0
        step[0] += 1
        return logits

    model.backbone.module.get_output_embeddings().register_forward_hook(say)

    outputs, written = write_judgements(model, batch, ALONE)

    assert outputs["verdicts"].tolist() == [[0.0, 1.0]] * 8
    assert written == 8


def test_reasons_are_the_critiques_in_the_order_shown() -> None:
    responses = (
        Response(text="one", rank=1, critique="good."),
        Response(text="two", rank=2, critique="bad."),
    )
    item = PreferenceItem(item_id="i", group_id="g", prompt="p", responses=responses)

    told = [order.reasons(item) for order in presentations(item)]

    assert told == [" A: good. B: bad.", " A: bad. B: good."]


def test_a_judge_is_trained_on_reasons_and_closing_words_and_evaluated_on_its_own() -> None:
    model = model_of("qwen2_5_vl", reasoning=True)
    (trained,) = examples_of(model, 1, training=True).take([0])
    (scored,) = examples_of(model, 1).take([0])
    decode = model.backbone.tokenizer.decode

    branch, labelled = trained.tree.branches[0], trained.tree.labelled[0]
    first = presentations(trained.item)[0]

    assert decode(branch[-labelled:].tolist()) == first.reasons(trained.item) + REASONS_CLOSING
    assert str(decode(scored.tree.branches[0].tolist())).endswith(REASONS_OPENING)
    assert scored.tree.labelled == (0, 0)


def test_a_reasoning_judge_learns_both_and_reports_its_cost(
    backbone_folder: Path, tmp_path: Path
) -> None:
    store = LocalStore(tmp_path / "store")
    config = small_config(
        backbone_folder,
        paradigm="generative",
        judge={"reasoning": True, "max_written_tokens": 12},
        data={"pairs": 16},
        strategy={"batch_pairs": 16, "steps": 40, "learning_rate": 3e-3, "warmup": 0.05},
    )

    outcome, notebook = train(config, store, "t")

    reasons = notebook.metric("train/critique_loss")
    assert reasons[-1] < reasons[0] / 2
    assert notebook.metric("train/accuracy")[-1] > 0.9
    assert 0 < outcome.metrics["cost/written_tokens"] <= 12 * 20
    table = scores_of(store, "t")
    assert set(table["order"].to_pylist()) == {0, 1}
    metrics = benchmark_metrics(table)
    assert -0.5 <= metrics["position_bias"] <= 0.5
    assert 0 <= metrics["position_consistency"] <= 1


def test_a_judge_that_writes_needs_a_backbone_that_can_share() -> None:
    backbone = tiny_backbone("llama")
    backbone.shares_prompts = False
    config = TrainerConfig.model_validate({"paradigm": "generative", "judge": {"verdict": "text"}})

    with pytest.raises(BackboneError, match="full attention under a mask in every layer"):
        RewardModel(backbone, config)
