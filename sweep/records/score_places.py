"""Where a trial's score tables lie, as one sweep asks for them.

A model that several sweeps share may have been scored on other items under the same name, or under
other settings of its judge or critic. Every such evaluation has an identity and a place of its own;
what a sweep reads is what it asked for, never what another sweep wrote last.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.errors import InputError
from sweep.records.rows import EvaluationRow, TrialView
from trainer.config import TrainerConfig
from trainer.data.mixture import benchmark_digest
from trainer.evaluation_config import BenchmarkConfig
from trainer.identity import canonical_json, evaluation_identity, scoring_settings
from trainer.scores import score_key


def evaluation_meaning(benchmark: BenchmarkConfig, config: TrainerConfig) -> str:
    """A benchmark with what its source names stand for, and how a model is scored on it."""
    sources = {name: config.data.source(name).model_dump(mode="json") for name in benchmark.parts}
    return canonical_json(
        {
            "benchmark": benchmark.model_dump(mode="json"),
            "sources": sources,
            "scoring": scoring_settings(config),
        }
    )


class BenchmarkDigests:
    """Content digests of benchmarks as their data is now, each made once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, config: TrainerConfig, name: str) -> str:
        """Of one benchmark of a config.

        Raises:
            InputError: If its data cannot be read here.
        """
        benchmark = config.evaluation.benchmarks[name]
        meaning = evaluation_meaning(benchmark, config)
        if meaning not in self._known:
            self._known[meaning] = benchmark_digest(config.data, benchmark)
        return self._known[meaning]


class ScorePlaces:
    """Where the score tables of a sweep's trials lie."""

    def __init__(self, evaluations: Sequence[EvaluationRow]) -> None:
        """Args: what was scored after training, oldest first, whoever asked for it."""
        self._evaluations: dict[tuple[str, str], list[str]] = {}
        for row in evaluations:
            known = self._evaluations.setdefault((row.identity, row.benchmark), [])
            known.append(row.evaluation_identity)
        self._digests = BenchmarkDigests()

    def evaluation(self, trial: TrialView, benchmark: str) -> str:
        """Identity of the evaluation this sweep means; empty for the scores training ended with.

        A benchmark that the sweep's file does not define was added later: the last one counts. A
        sweep that trained the model itself means its own scores, unless the benchmark's file has
        changed since and it was scored anew.

        Raises:
            InputError: If it cannot be told which of several it is, since its data is not here.
        """
        made = self._evaluations.get((trial.identity, benchmark), [])
        defined = trial.config_json.get("evaluation", {}).get("benchmarks", {})
        if not made:
            return ""
        if benchmark not in defined:
            return made[-1]
        try:
            wanted = self._asked(trial, benchmark)
        except InputError:
            if trial.reused:
                raise
            return ""
        return wanted if wanted in made else ""

    def key(self, trial: TrialView, benchmark: str) -> str:
        """Object key of a trial's scores on a benchmark."""
        evaluation = self.evaluation(trial, benchmark)
        return score_key(trial.identity, benchmark, evaluation=evaluation)

    def _asked(self, trial: TrialView, name: str) -> str:
        """Identity of the evaluation a sweep's own config asks for."""
        config = TrainerConfig.model_validate(trial.config_json)
        try:
            digest = self._digests.of(config, name)
        except InputError as error:
            raise InputError(
                f"trial {trial.identity[:12]} was scored on {name!r} more than once, and which "
                f"scores this sweep asks for follows from the data, which cannot be read: {error}"
            ) from error
        return evaluation_identity(
            config, model_digest=str(trial.model_digest), benchmark_digest=digest
        )
