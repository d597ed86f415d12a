"""`tests/services/test_jobs.py` on PostgreSQL."""

import pytest

from tests.services.test_jobs import *  # noqa: F403

pytestmark = pytest.mark.postgres
