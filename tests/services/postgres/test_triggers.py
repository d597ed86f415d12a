"""`tests/services/test_triggers.py` on PostgreSQL."""

import pytest

from tests.services.test_triggers import *  # noqa: F403

pytestmark = pytest.mark.postgres
