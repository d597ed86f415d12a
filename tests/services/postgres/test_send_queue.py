"""`tests/services/test_send_queue.py` on PostgreSQL."""

import pytest

from tests.services.test_send_queue import *  # noqa: F403

pytestmark = pytest.mark.postgres
