"""`tests/services/test_many_at_once.py` on PostgreSQL."""

import pytest

from tests.services.test_many_at_once import *  # noqa: F403

pytestmark = pytest.mark.postgres
