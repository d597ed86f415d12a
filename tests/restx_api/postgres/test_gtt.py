"""`tests/restx_api/test_gtt.py` on PostgreSQL."""

import pytest

from tests.restx_api.test_gtt import *  # noqa: F403

pytestmark = pytest.mark.postgres
