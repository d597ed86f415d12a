"""`tests/restx_api/test_portfolio.py` on PostgreSQL."""

import pytest

from tests.restx_api.test_portfolio import *  # noqa: F403

pytestmark = pytest.mark.postgres
