"""The examples of the documentation: fenced blocks with what their first line says.

```` ```toml title="pyproject.toml" ```` is a block in TOML with the attribute ``title``. Attributes
that the tests know: ``title`` (the file that the block is, complete), ``output`` (what a command
prints), ``page`` (a health page).
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELSEWHERE = {
    "check-flows.md": ROOT / "tests" / "cli" / "test_flows.py",
    "from-webhook-to-chat.md": ROOT / "tests" / "docs" / "test_webhook_page.py",
}
"""Pages with wrong examples or several services, and the tests that check them."""
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]+)?\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL
)
ATTRIBUTE = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is where it begins on its page."""

    path: Path
    line: int
    language: str
    attributes: dict[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def title(self) -> str:
        return self.attributes.get("title", "")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks_of(path: Path) -> list[Block]:
    page = read(path)
    return [_block(path, page, match) for match in FENCE.finditer(page)]


def _block(path: Path, page: str, match: re.Match[str]) -> Block:
    language, _, rest = (match["info"] or "").partition(" ")
    attributes = {name: value.replace('\\"', '"') for name, value in ATTRIBUTE.findall(rest)}
    text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
    return Block(path, page.count("\n", 0, match.start()) + 1, language, attributes, text)


def all_blocks(*languages: str) -> list[Block]:
    pages = [each for each in PAGES if each.name not in ELSEWHERE]
    return [each for page in pages for each in blocks_of(page) if each.language in languages]


def prose_of(path: Path) -> str:
    """The page without its blocks and generated parts."""
    return FENCE.sub("", GENERATED.sub("", read(path)))


def write_files(path: Path, folder: Path) -> list[Path]:
    """Write every titled file of a page, as a reader would; later ones replace earlier ones."""
    written = []
    for block in blocks_of(path):
        if block.title:
            file = folder / block.title.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
            written.append(file)
    return written
