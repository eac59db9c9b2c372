"""Python imports a copy of this by itself where that lies in PYTHONPATH; a file beside it names the defect to plant."""

from __future__ import annotations

from pathlib import Path

if defect := Path(__file__).with_name("defect").read_text():
    import pytest

    from tests.contract.faults.defects import DEFECTS

    DEFECTS[defect](pytest.MonkeyPatch())
