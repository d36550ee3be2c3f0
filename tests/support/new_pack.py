"""The golden copy of what ``flyte-host new`` writes: ``python -m tests.support.new_pack``.

Owns where it is and its form: one text file, which no tool takes for code of this project.
"""

from flyte_host.scaffold.new_project import NewProject
from flyte_host.scaffold.pack_name import PackName
from tests.support.blocks import ROOT

GOLDEN = ROOT / "tests" / "scaffold" / "flyte-pack-pager.txt"
PROJECT = NewProject(PackName.parse("pager"), "0.1", observer=True, extends="Shell")


def golden_text() -> str:
    """All files of the project, each after its path."""
    return "\n".join(f"==> {path} <==\n{text}" for path, text in PROJECT.files())


if __name__ == "__main__":
    GOLDEN.write_text(golden_text(), encoding="utf-8")
