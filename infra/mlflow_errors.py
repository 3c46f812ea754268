"""What MLflow's refusals mean to whoever reads them."""

from __future__ import annotations

from infra.errors import InputError, RmsweepError, StoreError

_NOT_SIGNED_IN = (401, 403)


def mlflow_error(uri: str, *, code: str, status: int, said: str) -> RmsweepError:
    """A refusal as one of our errors.

    A wrong password is a `StoreError`: the ledger is the spool, so nothing is lost, and what waits
    is published once the password is put right.

    Args:
        uri: The server or database, without a password.
        code: MLflow's name for the error.
        status: Its HTTP status.
        said: The message; of a server that asks for a password it may be a page of HTML.
    """
    if status in _NOT_SIGNED_IN:
        return StoreError(
            f"MLflow at {uri} did not accept this machine's user or password; set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or write them into "
            "~/.mlflow/credentials"
        )
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return StoreError(
            f"nobody this machine trusts vouches for the certificate of MLflow at {uri}; for an "
            "authority of your own set MLFLOW_TRACKING_SERVER_CERT_PATH to the file with its "
            "certificate"
        )
    first = said.splitlines()[0] if said else code
    if code == "INVALID_PARAMETER_VALUE":
        return InputError(f"MLflow at {uri} refused: {first}")
    return StoreError(f"MLflow at {uri} failed: {first}")
