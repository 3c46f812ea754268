"""Least rights in S3: for every team, what its cluster needs, and what readers of results need."""

from __future__ import annotations

import json
from typing import Any

from infra.deploy.deployment import Deployment

_ACTIONS = {
    # Deleting is for `gc`; parts of an upload that was broken off are taken back.
    "cluster": ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"),
    "reader": ("s3:GetObject",),
}


def policies(deployment: Deployment) -> dict[str, str]:
    """IAM policies as JSON, by file; every right ends at the team's own prefix."""
    return {
        f"policies/s3-{team}-{who}.json": json.dumps(_policy(deployment, team, who), indent=2)
        + "\n"
        for team in deployment.teams
        for who in _ACTIONS
    }


def _policy(deployment: Deployment, team: str, who: str) -> dict[str, Any]:
    bucket = f"arn:aws:s3:::{deployment.places.bucket}"
    prefix = deployment.storage(team).removeprefix(f"s3://{deployment.places.bucket}/")
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
