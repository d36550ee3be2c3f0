"""Help texts under ``python -OO``, which drops the docstrings that they are.

Owns where they come from then: the source.
"""

import ast
import inspect
import sys
from functools import cache
from pathlib import Path

import click


def restore_help(group: click.Group) -> None:
    """Give every command below ``group`` its help, if Python has dropped it."""
    if sys.flags.optimize < 2:
        return
    for command in [group, *group.commands.values()]:
        if command.help is None and command.callback is not None:
            code = inspect.unwrap(command.callback).__code__
            command.help = _docstrings(code.co_filename).get(code.co_name)
        if isinstance(command, click.Group) and command is not group:
            restore_help(command)


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
