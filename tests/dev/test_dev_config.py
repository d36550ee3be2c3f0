from collections.abc import Mapping
from pathlib import Path

from flyte_host.config import Config
from flyte_host.dev.dev_config import read_dev_config
from flyte_host.dev.dev_options import DevOptions


def read(folder: Path, text: str = "", environ: Mapping[str, str] | None = None) -> Config:
    if text:
        (folder / "flyte-host.toml").write_text(text, encoding="utf-8")
    options = DevOptions(folder, state=folder / "state")
    assert DevOptions.decode(options.encode()) == options
    return read_dev_config(options, environ or {})


def test_without_a_file_flyte_is_at_its_usual_address(tmp_path: Path) -> None:
    config = read(tmp_path)
    assert config.embedded is not None
    assert (config.embedded.listen, config.embedded.flows) == ("127.0.0.1:8080", ())


def test_flows_of_the_usual_folder_are_found(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "a.yaml").touch()
    config = read(tmp_path)
    assert config.embedded is not None
    assert config.embedded.flows == (str(tmp_path / "flows" / "*.yaml"),)


def test_nothing_is_kept_where_a_host_would_keep_it(tmp_path: Path) -> None:
    config = read(tmp_path, '[flyte.embedded]\nstore = "s.db"\n[host]\nstate = "j.db"\n')
    assert config.embedded is not None
    assert config.embedded.store == tmp_path / "state" / "flyte.db"
    assert config.host.state == tmp_path / "state" / "flyte-host.db"


def test_only_this_machine_reaches_it(tmp_path: Path) -> None:
    text = '[flyte.embedded]\nlisten = "0.0.0.0:99"\nallow_everyone = true\n'
    config = read(tmp_path, text + '[health]\nlisten = "0.0.0.0:98"\n')
    assert config.embedded is not None
    assert (config.embedded.listen, config.embedded.allow_everyone) == ("127.0.0.1:8080", False)
    assert config.health.listen == "127.0.0.1:0"


def test_another_flyte_is_left_alone(tmp_path: Path) -> None:
    environ = {"FLYTE_API": "http://f", "FLYTE_JWT": "t", "FLYTE_LABELS": "env=dev"}
    config = read(tmp_path, "[host]\ndrain_seconds = 60\n", environ)
    assert (config.flyte.url, config.flyte.token) == (None, None)
    assert config.embedded is not None
    assert config.labels == {"env": "dev"}
    assert config.host.drain_seconds == 2


def test_a_short_drain_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path, "[host]\ndrain_seconds = 1\n").host.drain_seconds == 1
