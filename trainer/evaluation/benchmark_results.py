"""From score tables by benchmark to metrics by benchmark, each beside its text-only twin's.

Invariant: a table is measured as the suite its benchmark is of, whoever scored it and where.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from trainer.config import DataConfig
from trainer.data.mixture import benchmark_suite
from trainer.evaluation.metrics import benchmark_metrics
from trainer.evaluation_config import TEXT_ONLY, EvaluationConfig


def benchmark_results(
    tables: Mapping[str, pa.Table], data: DataConfig, evaluation: EvaluationConfig
) -> dict[str, dict[str, float]]:
    """Metrics of every benchmark that was scored; those of a twin's table are in both.

    Args:
        tables: Score tables by benchmark.
        data: Says what the benchmarks' source names mean.
        evaluation: Defines the benchmarks.
    """
    results = {}
    for name, table in tables.items():
        twin = f"{name}{TEXT_ONLY}"
        results[name] = benchmark_metrics(
            table,
            suite=benchmark_suite(data, evaluation.benchmarks[name]),
            twin=tables.get(twin) if evaluation.is_twin(twin) else None,
        )
    return results


def reported(results: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The results as a trial reports them, `eval/<benchmark>/<metric>`."""
    return {
        f"eval/{name}/{metric}": value
        for name, metrics in results.items()
        for metric, value in metrics.items()
    }
