"""How a training is laid out over workers so that it fits their memory; imports no torch.

All layouts that are tried train the same model: the batch stays whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.errors import InputError
from trainer.backbone_entries import BackboneEntry
from trainer.config import MachineConfig, TrainerConfig
from trainer.memory import GIB, USUAL_ROW_TOKENS, estimate_memory


def settle_machine(  # noqa: PLR0913 -- all by name
    config: TrainerConfig,
    backbone: BackboneEntry,
    *,
    gib: float,
    max_workers: int,
    row_tokens: int = USUAL_ROW_TOKENS,
    image_tokens: int = 0,
    accelerated: bool = True,
) -> MachineConfig:
    """The layout with the fewest workers that fits, then the least overhead.

    Args:
        config: What is trained; of its machine, threads and the like are kept.
        backbone: Figures of its model.
        gib: Memory of one worker.
        max_workers: Largest gang that may be asked for.
        row_tokens: As `trainer.memory.estimate_memory`.
        image_tokens: As `trainer.memory.estimate_memory`.
        accelerated: As `trainer.memory.estimate_memory`.

    Raises:
        InputError: If nothing fits; says how much the smallest layout would take.
    """
    smallest = None
    for machine in _layouts(config, max_workers):
        laid_out = config.model_copy(update={"machine": machine})
        estimate = estimate_memory(
            laid_out,
            backbone,
            row_tokens=row_tokens,
            image_tokens=image_tokens,
            accelerated=accelerated,
        )
        if estimate.total <= gib * GIB:
            return machine
        smallest = min(smallest or estimate.total, estimate.total)
    raise InputError(
        f"{backbone.name} does not fit: the smallest layout on at most {max_workers} workers takes "
        f"about {(smallest or 0.0) / GIB:.1f} GiB a worker, and there are {gib:g}; use more or "
        "larger workers, a smaller backbone, or freeze more of it"
    )


def _layouts(config: TrainerConfig, max_workers: int) -> Iterator[MachineConfig]:
    """From the least overhead to the least memory, gang by gang."""
    batch = config.strategy.batch_pairs
    for workers in range(1, max_workers + 1):
        share, rest = divmod(batch, workers)
        if rest:
            continue
        micros = [micro for micro in range(share, 0, -1) if share % micro == 0]
        for stage in (0,) if workers == 1 else (0, 2, 3):
            # Smaller micro batches cost less than computing every layer twice.
            for checkpointing in (False, True):
                for micro in micros:
                    yield config.machine.model_copy(
                        update={
                            "workers": workers,
                            "zero_stage": stage,
                            "micro_batch_pairs": None if micro == share else micro,
                            "micro_batch_tokens": None,
                            "gradient_checkpointing": checkpointing,
                        }
                    )
