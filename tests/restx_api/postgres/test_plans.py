"""`tests/restx_api/test_plans.py` on PostgreSQL."""

import pytest

from tests.restx_api.test_plans import *  # noqa: F403

pytestmark = pytest.mark.postgres
