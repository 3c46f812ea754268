"""Where the score tables of a sweep's trials come from: each trial's own store, or a compaction.

Invariant: a compaction's member key covers trial, model and evaluation, so that scores made anew
are read anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from analysis.compaction import Compaction, Member, compact
from infra.errors import InputError, MissingObjectError
from infra.object_store import ObjectStore, open_store
from sweep.records.rows import EvaluationRow, TrialView
from sweep.records.score_places import ScorePlaces
from trainer.identity import digest
from trainer.scores import read_scores


class ScoreTables:
    """Score tables of a sweep's trials: one by one, or all of a benchmark compacted."""

    def __init__(
        self, store: ObjectStore, sweep_id: str, evaluations: Sequence[EvaluationRow]
    ) -> None:
        """Args: the sweep's store and id; what was scored after training, oldest first."""
        self.store = store
        self._prefix = f"tables/{sweep_id}"
        self._places = ScorePlaces(evaluations)
        self._later = {
            (row.identity, row.benchmark, row.evaluation_identity): row.metrics
            for row in evaluations
        }
        self._stores = {store.uri: store}
        self._compactions: dict[str, Compaction] = {}

    def get(self, trial: TrialView, benchmark: str) -> pa.Table | None:
        """A trial's scores on a benchmark; none when it was not scored on it.

        Raises:
            InputError: If what lies there is no score table, or it cannot be told which it is.
        """
        key = self._places.key(trial, benchmark)
        try:
            return read_scores(self.store_of(trial).read(key))
        except MissingObjectError:
            return None
        except InputError as error:
            raise InputError(f"{key}: {error}") from error

    def told(self, trial: TrialView, benchmark: str) -> dict[str, float]:
        """What was reported with these scores, by the metric's name alone."""
        evaluation = self._places.evaluation(trial, benchmark)
        later = self._later.get((trial.identity, benchmark, evaluation))
        if later is not None:
            return dict(later)
        prefix = f"eval/{benchmark}/"
        return {
            name.removeprefix(prefix): value
            for name, value in trial.metrics.items()
            if name.startswith(prefix)
        }

    def members(self, trials: Sequence[TrialView], benchmark: str) -> list[Member]:
        """The trials as members of a benchmark's compaction."""
        return [
            Member(
                identity=trial.identity,
                key=digest(
                    [
                        trial.identity,
                        trial.model_digest,
                        self._places.evaluation(trial, benchmark),
                    ]
                ),
            )
            for trial in trials
        ]

    def compacted(self, trials: Sequence[TrialView], benchmark: str) -> Compaction:
        """All these trials' scores on a benchmark; what is new is read and compacted first."""
        if benchmark not in self._compactions:
            by_identity = {trial.identity: trial for trial in trials}
            self._compactions[benchmark] = compact(
                self.store,
                f"{self._prefix}/{benchmark}",
                list({m.identity: m for m in self.members(trials, benchmark)}.values()),
                lambda member: self.get(by_identity[member.identity], benchmark),
            )
        return self._compactions[benchmark]

    def store_of(self, trial: TrialView) -> ObjectStore:
        """The store that holds a trial's files."""
        uri = trial.storage or self.store.uri
        if uri not in self._stores:
            self._stores[uri] = open_store(uri)
        return self._stores[uri]
