"""Puts the example's files into the plugin author's guide.

python tools/guide.py           writes docs/plugin-guide.md
python tools/guide.py --check   exits 1 where the guide shows something else than the files hold

A block below `<!-- PATH -->` is the whole file, one below `<!-- PATH: NAME -->` the function or class of
that name at its top.
"""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "plugin-guide.md"
EXAMPLE = ROOT / "examples" / "film-look"
BLOCK = re.compile(
    r"<!-- (?P<path>[\w./-]+)(: (?P<name>\w+))? -->\n```(?P<language>\w+)\n.*?```\n", re.DOTALL
)


def filled(guide: str) -> str:
    """The guide with every block as its file has it."""
    return BLOCK.sub(block, guide)


def block(found: re.Match[str]) -> str:
    text = (EXAMPLE / found["path"]).read_text(encoding="utf-8")
    if found["name"]:
        text = part(text, found["name"])
    head = found[0].splitlines()[0]
    return f"{head}\n```{found['language']}\n{text.rstrip()}\n```\n"


def part(text: str, name: str) -> str:
    """A function or class with its decorators."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
    raise SystemExit(f"no {name} at the top of the file")


def shown_whole() -> set[str]:
    """Files that the guide shows from beginning to end."""
    return {m["path"] for m in BLOCK.finditer(GUIDE.read_text(encoding="utf-8")) if not m["name"]}


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the example's files into the guide.")
    parser.add_argument("--check", action="store_true")
    guide = GUIDE.read_text(encoding="utf-8")
    new = filled(guide)
    if parser.parse_args().check:
        raise SystemExit(f"{GUIDE.name} is stale: run python tools/guide.py" if new != guide else 0)
    GUIDE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
