"""`tests/services/test_approvals.py` on PostgreSQL."""

import pytest

from tests.services.test_approvals import *  # noqa: F403

pytestmark = pytest.mark.postgres
