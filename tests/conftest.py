"""What every test relies on."""
import pytest
from mmengine.logging import MessageHub

import opencd_gold  # noqa: F401  makes mmseg importable beside mmcv-lite


@pytest.fixture(autouse=True)
def no_run_before():
    """Forget the runs of earlier tests, whose progress losses would read."""
    MessageHub._instance_dict.clear()
