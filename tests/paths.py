"""Where the real files lie that some tests run on; those tests are skipped, saying so, where the folder is absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("CURATE_TEST_DATA", ROOT.parent / "shared" / "data"))
BASE = ROOT / "benchmarks" / "forgetting" / "base"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"real data not found at {DATA}: set CURATE_TEST_DATA")
