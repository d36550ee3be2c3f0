"""Tracebacks as plugin authors want them: their own frames first.

Owns the cut. Must not know what was called.
"""

import os
from pathlib import Path
from types import TracebackType

_OURS = str(Path(__file__).parent) + os.sep


def foreign_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame outside the host on; all of it if there is none."""
    part = trace
    while part is not None and part.tb_frame.f_code.co_filename.startswith(_OURS):
        part = part.tb_next
    return part or trace
