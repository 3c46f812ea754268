"""Weight averaging: several trained models of one architecture become one model.

One model's cost at scoring for several models' training (WARM, arXiv 2401.12187). It only means
something among models that started from the same pretrained weights, which is checked as far as the
files tell; what the average is worth is for its scores to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from infra.errors import InputError
from trainer.members.merges import architecture
from trainer.model.model_files import ModelPage, file_digests, load_model, read_page
from trainer.model.reward_model import RewardModel


def average_weights(
    folders: Sequence[Path], *, digests: Sequence[Mapping[str, str]] | None = None
) -> RewardModel:
    """The model whose every weight is the mean of these models' weights.

    At most two models are in memory at a time.

    Args:
        folders: Of saved models; at least one.
        digests: Of each one's files, as `load_model` takes them.

    Raises:
        InputError: If they differ in backbone, paradigm or head.
        MissingError: If a folder holds no model.
        CorruptObjectError: If one is not whole.
    """
    pages = [read_page(folder) for folder in folders]
    for page in pages[1:]:
        _refuse_unlike(pages[0], page)
    told = digests if digests is not None else [file_digests(folder) for folder in folders]
    merged = load_model(folders[0], digests=told[0])
    mean = merged.state_dict()
    # Words and what writes them are often one tensor under two names.
    once = {value.data_ptr(): name for name, value in mean.items() if value.is_floating_point()}
    others = zip(folders[1:], told[1:], strict=True)
    for count, (folder, files) in enumerate(others, start=2):
        other = load_model(folder, digests=files).state_dict()
        if {n: v.shape for n, v in other.items()} != {n: v.shape for n, v in mean.items()}:
            raise InputError(
                f"{pages[0].identity[:12]} and {pages[count - 1].identity[:12]} have weights of "
                "other names or shapes, so they cannot be averaged"
            )
        with torch.no_grad():
            for name in once.values():
                mean[name].lerp_(other[name], 1 / count)
    return merged.eval()


def _refuse_unlike(one: ModelPage, other: ModelPage) -> None:
    ours, theirs = architecture(one.config), architecture(other.config)
    unlike = [name for name, value in ours.items() if value != theirs[name]]
    if unlike:
        raise InputError(
            f"models {one.identity[:12]} and {other.identity[:12]} differ in {' and '.join(unlike)}"
            "; only weights of the same architecture and pretraining can be averaged"
        )
