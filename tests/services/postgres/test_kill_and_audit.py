"""`tests/services/test_kill_and_audit.py` on PostgreSQL."""

import pytest

from tests.services.test_kill_and_audit import *  # noqa: F403

pytestmark = pytest.mark.postgres
