"""`BatchFeed`: a rank's micro batches in order, the next one prepared while this one is computed.

What needs no weights (decoding, tokenizing) happens in a thread; rows are put together in the
caller's, where nothing else runs. Which items come when is settled by `PhasedOrder` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from trainer.config import TrainerConfig
from trainer.data.items import PreferenceItem
from trainer.evaluation.evaluate import work
from trainer.gangs.gang import Gang
from trainer.prompting.examples import Batch, Examples
from trainer.training.data_order import micro_batches, training_order
from trainer.training.token_batches import spread, token_batches


class BatchFeed:
    """The micro batches of one rank."""

    def __init__(self, examples: Examples, config: TrainerConfig, gang: Gang) -> None:
        self._examples = examples
        self._config = config
        self._gang = gang
        self.order = training_order(config, examples.items)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rmsweep-prepare")
        self._prepared: Future[None] | None = None

    def step(self, step: int) -> Iterator[tuple[Batch, bool]]:
        """This rank's micro batches of one optimizer step, and whether each is the last.

        Every rank takes part, and every rank has as many.

        Raises:
            DataError: If one of its items cannot be used.
        """
        self._wait()
        chunks = self._chunks(step)
        for number, chunk in enumerate(chunks, start=1):
            self._wait()
            batch = self._examples.model_batch(chunk)
            last = number == len(chunks)
            following = self._after(step) if last else chunks[number]
            if following:
                self._prepared = self._thread.submit(self._examples.prepare, following)
            yield batch, last

    def _chunks(self, step: int) -> list[list[int]]:
        """Item indices of this rank's micro batches."""
        chunks = self._dealt(step)
        budget = self._config.machine.micro_batch_tokens
        if budget is None:
            return chunks
        (share,) = chunks
        examples = self._examples
        extents = examples.extents(share)
        batches = token_batches(share, extents, budget=budget, padded=examples.padded)
        return spread(batches, self._gang.most(len(batches)))

    def _dealt(self, step: int) -> list[list[int]]:
        """This rank's items as micro batches of pairs; all in one where tokens are counted."""
        examples = self._examples
        indices = self.order.step(step)
        return rank_chunks(
            self._config, examples.items, indices, self._gang, padded=examples.padded
        )

    def settle(self) -> None:
        """Until nothing is being prepared; what went wrong is told when that batch is due."""
        if self._prepared is not None:
            with suppress(Exception):
                self._prepared.result()

    def close(self) -> None:
        """Stop preparing."""
        self._thread.shutdown(cancel_futures=True)

    def _after(self, step: int) -> list[int]:
        if step + 1 >= self._config.total_steps:
            return []
        return self._dealt(step + 1)[0]

    def _wait(self) -> None:
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.result()


def rank_chunks(
    config: TrainerConfig,
    items: Sequence[PreferenceItem],
    indices: list[int],
    gang: Gang,
    *,
    padded: bool,
) -> list[list[int]]:
    """A rank's share of a step as micro batches."""
    share = len(indices) // gang.size
    return micro_batches(
        indices,
        [work(items[index]) for index in indices],
        rank=gang.rank,
        size=gang.size,
        micro=config.machine.micro_batch_pairs or share,
        padded=padded,
    )
