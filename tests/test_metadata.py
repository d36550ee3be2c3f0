"""The name and version of a distribution, in every form in which it may be installed."""

import importlib.metadata
from pathlib import Path

import pytest

from flyte_host.metadata import read_metadata, version

TEXT = "Metadata-Version: 2.1\nName: acme-jira\nVersion: 1.2.3\n"
FORMS = {
    "wheel": ("acme_jira-1.2.3.dist-info/METADATA", TEXT),
    "egg": ("acme_jira.egg-info/PKG-INFO", TEXT),
    "egg that is a file": ("acme_jira-1.2.3.egg-info", TEXT),
    "description": ("a-1.dist-info/METADATA", f"{TEXT}\nName: another\nVersion: 0\n"),
    "indented": ("a-1.dist-info/METADATA", f"{TEXT}Description: first\n        Name: another\n"),
    "other case": ("a-1.dist-info/METADATA", "name:acme-jira\nVERSION:\t1.2.3\n"),
    "lines of Windows": ("a-1.dist-info/METADATA", TEXT.replace("\n", "\r\n")),
}


@pytest.mark.parametrize(("path", "text"), FORMS.values(), ids=FORMS)
def test_metadata_have_name_and_version(path: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(text.encode())
    [dist] = importlib.metadata.distributions(path=[str(tmp_path)])
    assert read_metadata(dist) == {"name": "acme-jira", "version": "1.2.3"}
    assert (dist.metadata["Name"], dist.version) == ("acme-jira", "1.2.3")


def test_metadata_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "half-1.dist-info").mkdir()
    [dist] = importlib.metadata.distributions(path=[str(tmp_path)])
    assert read_metadata(dist) == {}


@pytest.mark.parametrize("name", ["flyte-host", "urllib3"])
def test_version_is_that_of_the_installed_distribution(name: str) -> None:
    assert version(name) == importlib.metadata.version(name)
