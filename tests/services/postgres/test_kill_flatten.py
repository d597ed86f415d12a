"""`tests/services/test_kill_flatten.py` on PostgreSQL."""

import pytest

from tests.services.test_kill_flatten import *  # noqa: F403

pytestmark = pytest.mark.postgres
