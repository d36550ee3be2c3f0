"""The tutorial works as written. Instead of pip, the test writes the entry point itself."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT, blocks_of, write_files
from tests.support.log_line import parts_of_lines
from tests.support.serving import Serving
from tests.support.warm_process import WarmProcess

PAGE = ROOT / "docs" / "tutorial" / "first-pack.md"
TITLES = ["pyproject.toml", "wrong.toml", "test_disk.py", "flows/low-disk.yaml", "flyte-host.toml"]
OUTPUTS = {
    each.attributes["output"]: each.text for each in blocks_of(PAGE) if "output" in each.attributes
}


def install(folder: Path, project: Path) -> None:
    """Write the files that pip would write for the entry points of a project."""
    document = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    info = folder / f"{document['name'].replace('-', '_')}-{document['version']}.dist-info"
    info.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {document['name']}\nVersion: {document['version']}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    [(group, entries)] = document["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder of the installed plugin, without the plugins of this checkout."""
    folder = tmp_path / "flyte-pack-disk"
    folder.mkdir()
    write_files(PAGE, folder)
    install(folder, folder / "pyproject.toml")
    return folder


def environ(site: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
    return kept | {"PYTHONPATH": str(site)}


def flyte_host(site: Path, *arguments: str) -> str:
    """The stdout of a command."""
    printed, _ = WarmProcess(arguments, site, environ(site)).communicate("", PATIENCE_SECONDS)
    assert "Traceback" not in printed
    return printed


def only_disk(text: str) -> str:
    """The output without the plugins of this checkout and the column widths that they cause."""
    ours = "|".join(each.name.removeprefix("flyte-pack-") for each in (ROOT / "plugins").iterdir())
    others = re.compile(rf"^(pack )?({ours})\b")
    lines = [re.sub(r" {2,}", "  ", each) for each in text.splitlines() if not others.match(each)]
    return "\n".join(lines).strip()


def test_the_page_shows_every_file() -> None:
    titles = [each.title for each in blocks_of(PAGE) if each.title]
    assert set(titles) == {*TITLES, "flyte_pack_disk.py", "step-2/flyte_pack_disk.py"}
    named = [f"`{each}`" for each in [*TITLES, "flyte_pack_disk.py"]]
    page = PAGE.read_text(encoding="utf-8")
    assert [each for each in named if each not in page] == []


@pytest.mark.parametrize("shown", [each for each in OUTPUTS if each != "serve"])
def test_a_command_prints_what_the_page_says(site: Path, shown: str) -> None:
    step, separator, command = shown.partition(": ")
    if separator:
        (site / "flyte-host.toml").unlink()  # it is written later
        (site / step / "flyte_pack_disk.py").replace(site / "flyte_pack_disk.py")
    else:
        command = shown
    printed = flyte_host(site, *shlex.split(command))
    assert only_disk(printed) == only_disk(OUTPUTS[shown])


def test_outputs_are_all_shown() -> None:
    assert len(OUTPUTS) == 6


def test_the_page_counts_its_tests(site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "test_disk.py"],
        cwd=site, env=environ(site), capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1].startswith("9 tests collected")
    assert "Nine tests pass." in PAGE.read_text(encoding="utf-8")


def test_the_pack_serves_as_shown(site: Path) -> None:
    file = site / "flyte-host.toml"
    text = file.read_text(encoding="utf-8")
    assert "127.0.0.1:8080" in text
    text = text.replace("127.0.0.1:8080", "127.0.0.1:0") + '[health]\nlisten = "127.0.0.1:0"\n'
    file.write_text(text + without_others(), encoding="utf-8")
    with Serving(site, environ(site)) as serving:
        for level, pack, message in parts_of_lines(OUTPUTS["serve"]):
            serving.wait_for(message)
            [logged, *_] = [each for each in serving.log if each["message"] == message]
            assert (logged["level"].upper(), logged.get("pack", "-")) == (level, pack)


def without_others() -> str:
    """Tables that disable those plugins of this checkout that are installed."""
    names = {each.name for each in entry_points(group="flyte_host.packs")}
    return "".join(f"\n[packs.{name}]\nenabled = false\n" for name in sorted(names))
