"""`tests/services/test_signals.py` on PostgreSQL."""

import pytest

from tests.services.test_signals import *  # noqa: F403

pytestmark = pytest.mark.postgres
