"""`tests/services/test_replayed_keys.py` on PostgreSQL."""

import pytest

from tests.services.test_replayed_keys import *  # noqa: F403

pytestmark = pytest.mark.postgres
