"""`tests/services/test_order_plans.py` on PostgreSQL."""

import pytest

from tests.services.test_order_plans import *  # noqa: F403

pytestmark = pytest.mark.postgres
