"""The limits beside measured ratios count what the contestants' graphs really compute."""

from __future__ import annotations

import pytest

from tests.benchmarks.arithmetic import Costs
from tests.benchmarks.pair_throughput import OurExamples, config_of
from tests.benchmarks.peer_graphs import PeerGraph
from tests.benchmarks.shapes import language_model, make_items


def test_graph_a_s_language_head_has_a_forward_pass_and_no_backward() -> None:
    backbone = language_model()
    items = make_items(backbone, prompts=[16] * 2, responses=[(4, 4)] * 2, pairs_per_image=None)
    passes: list[str] = []
    head = backbone.module.lm_head
    head.register_forward_hook(lambda *_: passes.append("forward"))
    head.register_full_backward_hook(lambda *_: passes.append("backward"))

    PeerGraph("A", backbone, items, config_of(2)).step()

    assert passes == ["forward"]


def test_limits_count_heads_and_shared_prompts_once() -> None:
    backbone = language_model()
    items = make_items(backbone, prompts=[64] * 2, responses=[(32, 32)] * 2, pairs_per_image=None)
    costs = Costs.of(backbone, image_tokens=0)
    rows = OurExamples(backbone, items).shapes

    def peer(*, language_head: bool) -> float:
        return costs.peer(rows, images=0, frozen=True, language_head=language_head)

    assert peer(language_head=True) - peer(language_head=False) == 4 * 96 * costs.language_head
    apart = costs.ours(rows, images=0, frozen=True, shared=False)
    # Rows of one length are padded by nobody.
    assert apart == pytest.approx(peer(language_head=False))
    assert apart > costs.ours(rows, images=0, frozen=True)
