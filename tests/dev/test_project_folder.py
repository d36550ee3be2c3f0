from pathlib import Path

import pytest

from flyte_host.dev.project_folder import read_project
from flyte_host.errors import ConfigError
from tests.support.dev_run import PACK, write_echo_project


def problem_of(folder: Path, document: str) -> str:
    (folder / "pyproject.toml").write_text(document, "utf-8", "surrogateescape")
    with pytest.raises(ConfigError) as raised:
        read_project(folder)
    return str(raised.value)


def test_plugins_are_those_of_the_entry_points(tmp_path: Path) -> None:
    write_echo_project(tmp_path)
    project = read_project(tmp_path)
    [plugin] = project.plugins
    assert (plugin.name, plugin.distribution, plugin.version) == ("echo", "flyte-pack-echo", "0.3")
    assert plugin.target == "flyte_pack_echo:Pack"
    assert project.search_path == (str(tmp_path),)


def test_modules_may_lie_in_src(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_echo_project(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "pack_in_src.py").write_text(PACK, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(
        '[project.entry-points."flyte_host.packs"]\necho = "pack_in_src:Pack"\n', encoding="utf-8"
    )
    project = read_project(tmp_path)
    monkeypatch.setattr("sys.path", [*project.search_path])
    made = project.plugins[0].load()
    assert getattr(made, "__name__", "") == "Pack"
    assert project.plugins[0].distribution == tmp_path.name


def test_entry_points_as_poetry_wrote_them(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.poetry.plugins."flyte_host.packs"]\necho = "echo:Pack"\n', encoding="utf-8"
    )
    assert [plugin.target for plugin in read_project(tmp_path).plugins] == ["echo:Pack"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", 'found no plugin, expected a table [project.entry-points."flyte_host.packs"] with'),
        ("project = 7", "found no plugin"),
        ('[project.entry-points]\n"flyte_host.packs" = "a:b"', "found no plugin"),
        ('[project.entry-points."flyte_host.packs"]', "found no plugin"),
        ('[project.entry-points."flyte_host.packs"]\na = "b"', 'a: found "b", expected module:'),
        ('[project.entry-points."flyte_host.packs"]\na = 7', 'a: found "7", expected module:'),
        ("[project", "pyproject.toml:1:9: this is not valid TOML"),
        ("\n\udce9", "pyproject.toml:2: found text that is not UTF-8"),
        ("a = " + "[" * 5000, "pyproject.toml: found arrays or tables nested too deep"),
        ("a = " + "1" * 5000, "pyproject.toml: found a number of too many digits"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, document: str, says: str) -> None:
    assert says in problem_of(tmp_path, document)
