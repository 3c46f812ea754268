"""What MLflow is told through its environment, its only door: here, and in servers we start."""

from __future__ import annotations

from infra.settings import Settings

DEFAULTS = {
    # Its own keep a caller waiting for minutes (7 retries of 120 s), report usage to its makers,
    # and print a link to every run that ends.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Where the user has set nothing."""


def s3_environment(settings: Settings) -> dict[str, str]:
    """Where MLflow finds artifacts on S3 by itself: where the store finds its objects.

    One setting says it for both, so it wins over what an earlier shell left in MLflow's variable.
    """
    endpoint = settings.s3_endpoint
    return {} if endpoint is None else {"MLFLOW_S3_ENDPOINT_URL": endpoint}
