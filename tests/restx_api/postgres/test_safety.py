"""`tests/restx_api/test_safety.py` on PostgreSQL."""

import pytest

from tests.restx_api.test_safety import *  # noqa: F403

pytestmark = pytest.mark.postgres
