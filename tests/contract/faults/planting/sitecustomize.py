"""Python imports this by itself where its folder is in PYTHONPATH: it plants the defect that the environment names.

In the processes whose code it is, those of API pods and of Ray's actors: others would only start more slowly.
"""

from __future__ import annotations

import os
import sys

AT_WORK = ("api", "default_worker.py")
"""How a word of their command lines ends."""

if any(word.endswith(AT_WORK) for word in sys.orig_argv):
    import pytest

    from tests.contract.faults.defects import DEFECT, DEFECTS

    DEFECTS[os.environ[DEFECT]](pytest.MonkeyPatch())
