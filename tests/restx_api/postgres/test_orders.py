"""`tests/restx_api/test_orders.py` on PostgreSQL."""

import pytest

from tests.restx_api.test_orders import *  # noqa: F403

pytestmark = pytest.mark.postgres
