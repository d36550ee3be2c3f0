"""What people deploy: each platform's own tools accept it, and the pages show it as it is."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from flyte_host.config import load_config
from flyte_host.testing.waiting import PATIENCE_SECONDS
from tests.support.blocks import ROOT, all_blocks
from tests.support.commands import check_options

DEPLOY = ROOT / "docs" / "examples" / "deploy"
FILES = sorted(DEPLOY.iterdir())
UNIT = (DEPLOY / "flyte-host.service").read_text(encoding="utf-8")
IMAGE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
TOML = (DEPLOY / "flyte-host.toml").read_text(encoding="utf-8")
MANIFESTS = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
DRAIN_SECONDS = tomllib.loads(TOML)["host"]["drain_seconds"]
EXPOSURE_TENTHS = 14
"""As the page says: 1.4 of 10."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here"
)


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def manifest(kind: str) -> Any:
    [found] = [each for each in MANIFESTS if each["kind"] == kind]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_page_shows_the_file_as_it_is(file: Path) -> None:
    shown = [each.text for each in all_blocks("ini", "dockerfile", "toml", "yaml")
             if each.title == file.name and each.path.name.startswith("deploy-")]  # fmt: skip
    assert shown == [file.read_text(encoding="utf-8")]


def settings_of_the_unit() -> dict[str, str]:
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT, re.MULTILINE))


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "flyte-host.service"
    unit.write_text(UNIT.replace("/opt/flyte-host/bin/flyte-host", sys.executable))
    assert run("systemd-analyze", "verify", unit) == ""


@needs_systemd
def test_the_unit_is_as_closed_as_the_page_says() -> None:
    told = run("systemd-analyze", "security", "--offline=true", "--no-pager",
               f"--threshold={EXPOSURE_TENTHS}", DEPLOY / "flyte-host.service")  # fmt: skip
    assert f"exposure level for flyte-host.service: {EXPOSURE_TENTHS / 10}" in told


def test_the_unit_waits_longer_than_the_drain() -> None:
    settings = settings_of_the_unit()
    assert int(settings["TimeoutStopSec"]) >= DRAIN_SECONDS + 10
    program, *arguments = settings["ExecStart"].split()
    assert program.endswith("/flyte-host")
    check_options(arguments)


def test_the_unit_allows_what_the_host_calls() -> None:
    """Limits of memory are set by ``setrlimit``, which is in the group ``@resources``."""
    assert "~@privileged\n" in UNIT
    assert "@resources" not in UNIT


def test_hadolint_accepts_the_image() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    assert run(hadolint, DEPLOY / "Dockerfile") == ""


def test_the_image_starts_an_existing_command() -> None:
    command = re.search(r"^CMD (.*)$", IMAGE, re.MULTILINE)
    assert command is not None
    check_options(json.loads(command[1]))
    packs = re.findall(r"\./(plugins/\S+)", IMAGE)
    assert [each for each in packs if not (ROOT / each).is_dir()] == []


def test_kubernetes_accepts_the_manifests() -> None:
    told = run(sys.executable, "-m", "kubernetes_validate", "--strict", DEPLOY / "kubernetes.yaml")
    assert told.count("passed for resource") == len(MANIFESTS)


def test_the_image_and_the_manifests_have_one_configuration() -> None:
    mounted = manifest("ConfigMap")["data"]["flyte-host.toml"]
    assert tomllib.loads(mounted) == tomllib.loads(TOML)


def test_the_pod_fits_its_configuration(tmp_path: Path) -> None:
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["terminationGracePeriodSeconds"] >= DRAIN_SECONDS + 10
    mounts = [each["mountPath"] for each in container["volumeMounts"]]
    token = tmp_path / "token"
    token.touch()
    file = tmp_path / "flyte-host.toml"
    file.write_text(TOML.replace("/run/secrets/flyte/token", str(token)))
    config = load_config(file, {})
    assert str(config.host.state.parent) in mounts
    assert "/run/secrets/flyte" in mounts
    probes = [container[each]["httpGet"] for each in container if each.endswith("Probe")]
    assert {each["path"] for each in probes} <= {"/live", "/ready"}
    assert {each["port"] for each in probes} == {int(config.health.listen.rpartition(":")[2])}
    assert container["livenessProbe"]["httpGet"]["path"] == "/live"


def test_the_pod_may_do_no_more_than_it_needs() -> None:
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert f"USER {pod['securityContext']['runAsUser']}\n" in IMAGE
