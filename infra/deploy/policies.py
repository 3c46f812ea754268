"""Least rights in S3: for every team, what its cluster needs, and what readers of results need.

And how long the bucket keeps parts of an upload whose process died, which no listing shows and
nobody would take back.
"""

from __future__ import annotations

import json
from typing import Any

from infra.deploy.deployment import Deployment

_ACTIONS = {
    # Deleting is for `gc`; parts of an upload that was broken off are taken back.
    "cluster": ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"),
    "reader": ("s3:GetObject",),
}
BROKEN_OFF_DAYS = 7
"""An upload of a checkpoint takes minutes; one of last week is not going on."""


def policies(deployment: Deployment) -> dict[str, str]:
    """IAM policies as JSON, by file; every right and rule ends at the team's own prefix."""
    return {"policies/s3-lifecycle.json": _json(_lifecycle(deployment))} | {
        f"policies/s3-{team}-{who}.json": _json(_policy(deployment, team, who))
        for team in deployment.teams
        for who in _ACTIONS
    }


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2) + "\n"


def _lifecycle(deployment: Deployment) -> dict[str, Any]:
    return {
        "Rules": [
            {
                "ID": f"{deployment.name}-{team}-broken-off",
                "Status": "Enabled",
                "Filter": {"Prefix": f"{_prefix(deployment, team)}/"},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": BROKEN_OFF_DAYS},
            }
            for team in deployment.teams
        ]
    }


def _prefix(deployment: Deployment, team: str) -> str:
    return deployment.storage(team).removeprefix(f"s3://{deployment.places.bucket}/")


def _policy(deployment: Deployment, team: str, who: str) -> dict[str, Any]:
    bucket = f"arn:aws:s3:::{deployment.places.bucket}"
    prefix = _prefix(deployment, team)
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Objects",
                "Effect": "Allow",
                "Action": list(_ACTIONS[who]),
                "Resource": f"{bucket}/{prefix}/*",
            },
            {
                "Sid": "Names",
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": [f"{prefix}/*", f"{prefix}/"]}},
            },
            {
                "Sid": "NothingInTheClear",
                "Effect": "Deny",
                "Action": "s3:*",
                "Resource": [bucket, f"{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }
