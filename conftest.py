"""Lets tests import the rooms by name, however pytest was started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Every exchange with a simulated Xero is held to Xero's description, where that is there
pytest_plugins = ["tests.described.plugin"]
