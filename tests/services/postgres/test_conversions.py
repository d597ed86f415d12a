"""`tests/services/test_conversions.py` on PostgreSQL."""

import pytest

from tests.services.test_conversions import *  # noqa: F403

pytestmark = pytest.mark.postgres
