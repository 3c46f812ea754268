"""Every layout in turn."""

from __future__ import annotations

import pytest

from infra.deploy.deployment import Deployment
from tests.infra.deploy.layouts import LAYOUTS


@pytest.fixture(params=list(LAYOUTS.values()), ids=list(LAYOUTS))
def deployment(request: pytest.FixtureRequest) -> Deployment:
    found: Deployment = request.param
    return found
