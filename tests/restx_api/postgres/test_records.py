"""`tests/restx_api/test_records.py` on PostgreSQL."""

import pytest

from tests.restx_api.test_records import *  # noqa: F403

pytestmark = pytest.mark.postgres
