"""One pass of Ray Tune: orders in, news out; Tune remembers nothing and decides nothing.

Its files go to a temporary folder that is deleted with the pass and never read.
"""

from __future__ import annotations

import os
import tempfile

from ray import tune
from ray.exceptions import RayError
from ray.tune import TuneError
from ray.tune.progress_reporter import TrialProgressCallback

from infra.errors import RmsweepError
from sweep.execution.cluster import Cluster, without_secrets
from sweep.execution.dispatching import Dispatcher
from sweep.execution.guarding import GuardedDispatcher
from sweep.execution.listening import Launch, launch_gang
from sweep.execution.placement import placement_request
from sweep.execution.scheduler import NewsScheduler
from sweep.execution.searcher import OrderSearcher
from sweep.execution.trainable import actor_class

MAX_STARTING = 16
"""Orders that may wait for their actor at once; more only makes Ray's queue longer."""


def execute_orders(
    dispatcher: Dispatcher, cluster: Cluster, *, launch: Launch = launch_gang
) -> None:
    """Execute orders until the dispatcher has none left and none is live.

    Raises:
        RmsweepError: What the dispatcher raised, or that Ray failed as a whole.
    """
    guarded = GuardedDispatcher(dispatcher)
    starting = max(1, min(MAX_STARTING, int(cluster.cpus)))
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(starting)
    without_secrets()
    with tempfile.TemporaryDirectory(prefix="rmsweep-", ignore_cleanup_errors=True) as scratch:
        tuner = tune.Tuner(
            tune.with_resources(actor_class(launch), placement_request),
            tune_config=tune.TuneConfig(
                search_alg=OrderSearcher(guarded),
                scheduler=NewsScheduler(guarded),
                num_samples=-1,
                reuse_actors=True,
                trial_name_creator=_trial_id,
                trial_dirname_creator=_trial_id,
            ),
            run_config=tune.RunConfig(
                name="orders",
                storage_path=scratch,
                verbose=0,
                callbacks=[_NoProgress()],
                failure_config=tune.FailureConfig(max_failures=0),
                # Tune's own checkpoint would end the actor that is to be reused.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        try:
            tuner.fit()
        except (TuneError, RayError) as error:
            guarded.reraise()
            raise RmsweepError(
                f"Ray failed under the sweep: {error}; run the command again to go on, nothing "
                "finished is lost"
            ) from error
    guarded.reraise()


class _NoProgress(TrialProgressCallback):  # type: ignore[misc]  # Ray is untyped here
    """Stands in for Tune's own, which prints ends of trials at any verbosity."""

    def _print(self, msg: str) -> None:
        del msg


def _trial_id(trial: tune.experiment.Trial) -> str:
    return str(trial.trial_id)
