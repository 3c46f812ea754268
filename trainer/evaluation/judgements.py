"""A judge that writes at evaluation: reasons before its verdict, or its verdict in words.

With likelihoods, reasons end where the model writes the closing words itself, or are closed for it
when it ends its text or reaches the limit; the verdict is read right after. In words, the text ends
at its end, at the limit, or with the verdict after the closing words, since no judge is taught to
end its text there; what it says is parsed.
"""

from __future__ import annotations

import torch

from trainer.evaluation.verdicts import Verdict, parse_verdict
from trainer.gangs.gang import Gang
from trainer.model.growth import Growth
from trainer.model.reward_model import RewardModel
from trainer.prompting.examples import ModelBatch
from trainer.prompting.prompts import REASONS_CLOSING

_LIKELIHOODS: dict[Verdict | None, tuple[float, float]] = {
    "first": (1.0, 0.0),
    "second": (0.0, 1.0),
    "tie": (0.5, 0.5),
    None: (0.5, 0.5),
}
"""A verdict in words as scores of the two; an unreadable one prefers neither."""


@torch.no_grad()
def write_judgements(
    model: RewardModel, batch: ModelBatch, gang: Gang, *, always_encode_images: bool = False
) -> tuple[dict[str, torch.Tensor], int]:
    """Verdicts after greedily written text, and how many tokens were written.

    Args:
        model: A judge that writes.
        batch: Branches that end where its text starts.
        gang: All ranks take as many steps as the slowest.
        always_encode_images: As for the model itself.

    Returns:
        `verdicts` [N, 2] (log-probabilities, or 1, 0 and a half for verdicts in words), `parsed`
        [N], and the tokens written over all branches, without end-of-text and forced ones.
    """
    with model.autocast():
        growth = Growth(model, batch, always_encode_images=always_encode_images)
        if model.config.judge.verdict == "text":
            return _in_words(model, growth, gang)
        return _in_likelihoods(model, growth, gang)


def _in_likelihoods(
    model: RewardModel, growth: Growth, gang: Gang
) -> tuple[dict[str, torch.Tensor], int]:
    limit, eos = model.config.judge.max_written_tokens, model.backbone.eos_token_id
    closing = torch.tensor(model.backbone.encode_text(REASONS_CLOSING), device=model.device)
    branches = growth.rows.num_branches
    recent = closing.new_full((branches, len(closing)), -1)
    forced = closing.new_full(
        (branches,), -1
    )  # which closing word is due; -1 while the model writes
    final = growth.words
    still = torch.ones(branches, dtype=torch.bool, device=model.device)
    written = 0
    for step in range(limit + len(closing)):
        tokens = growth.likeliest()
        ends = (forced < 0) & ((tokens == eos) | (step >= limit))
        forced = torch.where(ends, 0, forced)
        tokens = torch.where(forced >= 0, closing[forced.clamp(0, len(closing) - 1)], tokens)
        written += int((still & (forced < 0)).sum().item())
        growth.add(tokens)
        recent = torch.cat([recent[:, 1:], tokens[:, None]], dim=1)
        forced = torch.where(forced >= 0, forced + 1, forced)
        closed = still & (recent == closing).all(1)
        final = torch.where(closed[:, None], growth.words, final)
        still = still & ~closed
        if not gang.any(bool(still.any().item())):
            break
    return model.read_verdicts(final), written


def _in_words(
    model: RewardModel, growth: Growth, gang: Gang
) -> tuple[dict[str, torch.Tensor], int]:
    limit, eos = model.config.judge.max_written_tokens, model.backbone.eos_token_id
    closing = model.backbone.encode_text(REASONS_CLOSING)
    reasoning, verdicts = model.config.judge.reasoning, model.verdicts or ()
    said: list[list[int]] = [[] for _ in range(growth.rows.num_branches)]
    still = [True] * len(said)
    for _ in range(limit):
        tokens = growth.likeliest()
        for branch, token in enumerate(tokens.tolist()):
            if still[branch] and token != eos:
                if reasoning:
                    told = said[branch][-len(closing) :] == closing
                else:  # the closing words stand in the prompt, and other text may follow them
                    told = not said[branch] and token in verdicts
                said[branch].append(token)
                still[branch] = not told
            else:
                still[branch] = False
        if not gang.any(any(still)):
            break
        growth.add(tokens)
    decode = model.backbone.tokenizer.decode
    parsed = [parse_verdict(str(decode(tokens))) for tokens in said]
    scores = torch.tensor([_LIKELIHOODS[verdict] for verdict in parsed], device=model.device)
    clear = torch.tensor([verdict is not None for verdict in parsed], device=model.device)
    return {"verdicts": scores, "parsed": clear.float()}, sum(map(len, said))
