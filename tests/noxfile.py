"""The suite on other Pythons, and with other versions of the dependencies: ``make nox``.

Owns which versions those are. What a session installs is in ``.nox`` of the checkout.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nox

ROOT = Path(__file__).parents[1]
PROJECTS = [ROOT / "pyproject.toml", *sorted((ROOT / "plugins").glob("*/pyproject.toml"))]
EXTRAS = "[curl,dev,embedded,mcp,metrics,otel,postgres]"
LOWER_BOUND = re.compile(r"([\w-]+)(?:\[[\w,]+\])?>=([\w.]+)")

nox.options.envdir = str(ROOT / ".nox")
nox.options.default_venv_backend = "venv"
nox.options.sessions = ["python"]
nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def python(session: nox.Session) -> None:
    """The pinned versions, on each installed Python."""
    _test(session, ROOT / "constraints.txt")


@nox.session(python="3.11")
def oldest(session: nox.Session) -> None:
    """The oldest versions that the projects say they work with, on the oldest Python."""
    file = Path(session.create_tmp()) / "oldest.txt"
    file.write_text("\n".join(oldest_versions()), encoding="utf-8")
    _test(session, file)


@nox.session
def newest(session: nox.Session) -> None:
    """The newest versions that there are."""
    _test(session, None)


def oldest_versions() -> Iterator[str]:
    """The lower bounds of the projects as pins; what goes with them is left to pip."""
    yield from (f"{name}=={version}" for name, version in dict(_lower_bounds()).items())


def dependencies(project: Path) -> list[str]:
    """What a project wants, its extras included."""
    table = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras = table.get("optional-dependencies", {}).values()
    return [*table["dependencies"], *(each for extra in extras for each in extra)]


def _lower_bounds() -> Iterator[tuple[str, str]]:
    for path in PROJECTS:
        for wanted in dependencies(path):
            if found := LOWER_BOUND.fullmatch(wanted):
                yield normal(found[1]), found[2]


def normal(name: str) -> str:
    """The name of a distribution as all compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _test(session: nox.Session, constraints: Path | None) -> None:
    session.chdir(ROOT)
    pins = ["--constraint", str(constraints)] if constraints else []
    plugins = [word for path in PROJECTS[1:] for word in ("--editable", str(path.parent))]
    session.install("pip>=25.1")
    session.install(*pins, "--editable", f".{EXTRAS}", *plugins, "--group", "dev")
    session.run("python", "-m", "pytest", *session.posargs)
