"""`tests/services/test_orders.py` on PostgreSQL."""

import pytest

from tests.services.test_orders import *  # noqa: F403

pytestmark = pytest.mark.postgres
