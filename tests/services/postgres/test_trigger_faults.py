"""`tests/services/test_trigger_faults.py` on PostgreSQL."""

import pytest

from tests.services.test_trigger_faults import *  # noqa: F403

pytestmark = pytest.mark.postgres
