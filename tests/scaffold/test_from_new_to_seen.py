"""A new user's way: new, install, tests, dev, an edit, and what it changed."""

import signal
import tomllib
from pathlib import Path

from tests.support.blocks import ROOT
from tests.support.dev_run import DevRun
from tests.support.projects import install_projects, run_module

LINT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]
OF_LINT = [
    f"--cache-dir={ROOT / '.mypy_cache'}",
    "--warn-unreachable",
    *(f"--enable-error-code={code}" for code in LINT["enable_error_code"]),
]
"""The options of ``make lint``: what it has read of the host is not read again."""


def test_from_new_to_an_edit_that_is_seen(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    run_module("flyte_host", "new", "Pager", "--observer", "--add-on", "Shell",
               cwd=tmp_path, site=site)  # fmt: skip
    project = tmp_path / "flyte-pack-pager"

    install_projects(site, project)
    assert (site / "flyte_pack_pager" / "py.typed").exists()
    listed = run_module("flyte_host", "packs", cwd=project, site=site)
    for plugin in ("pager", "pager-add-on"):
        [line] = [line for line in listed.splitlines() if line.startswith(f"{plugin} ")]
        assert " loaded " in line
    said = run_module("flyte_host", "run", "pager", "FindNotes", '{"word": "a"}',
                      cwd=project, site=site)  # fmt: skip
    assert '"event": "NotesFound"' in said

    tested = run_module("pytest", "-q", "-p", "no:cacheprovider", cwd=project, site=site)
    assert "13 passed" in tested
    run_module("mypy", *OF_LINT, cwd=project, site=site)

    with DevRun(project, site=site) as running:
        running.wait_for("registered as Pager")
        words = running.offered()
        assert words[:4] == ["flyte-host", "event", "Chat", "Said"]
        assert "step look: SUCCESS Pager.FindNotes → NotesFound" in running.raise_event(words)
        running.wait_for('flyte has NotesFound of Pager: {"titles": ["by"], "word": "by"}')
        running.wait_for('flyte has NoteAppeared of Pager: {"title": "by"}')

        module = project / "flyte_pack_pager" / "pack.py"
        text = module.read_text(encoding="utf-8")
        edited = text.replace("{path.stem}\\n{path", "nothing\\n{path")
        assert edited != text
        module.write_text(edited, encoding="utf-8")
        running.wait_for("registered as Pager", times=2)
        words[-1] = running.url(times=2)
        assert "SUCCESS" in running.raise_event(words)
        running.wait_for('flyte has NotesFound of Pager: {"titles": [], "word": "by"}')
        running.signal(signal.SIGINT)
        assert running.ended() == -signal.SIGINT
    assert [path.name for path in (project / "notes").iterdir()] == ["by.txt"]
