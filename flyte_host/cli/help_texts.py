"""Help texts under ``python -OO``, which drops the docstrings that they come from.

Owns where else they are found: in the source.
"""

import ast
import inspect
import sys
from functools import cache
from pathlib import Path

import click


def restore_help(command: click.Command) -> None:
    """Give a command and all below it their help texts, if Python has dropped them."""
    if sys.flags.optimize < 2:
        return
    if command.help is None and command.callback is not None:
        code = inspect.unwrap(command.callback).__code__
        command.help = _docstrings(code.co_filename).get(code.co_name)
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        restore_help(each)


@cache
def _docstrings(file: str) -> dict[str, str | None]:
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError):  # only the bytecode is there
        return {}
    return {
        node.name: ast.get_docstring(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
