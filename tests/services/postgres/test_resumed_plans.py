"""`tests/services/test_resumed_plans.py` on PostgreSQL."""

import pytest

from tests.services.test_resumed_plans import *  # noqa: F403

pytestmark = pytest.mark.postgres
