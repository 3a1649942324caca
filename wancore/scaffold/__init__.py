"""The skeleton of a plugin: files below `common` and below the role's folder, with names filled in.

`__module__` in a path and `$id`, `$module`, `$cls`, `$title` in a text stand for what the name gives.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import keyword
import re
from pathlib import Path
from string import Template

from wancore.errors import InvalidInput
from wancore.plugins.family import Role
from wancore.plugins.manager import GROUP

TEMPLATES = Path(__file__).parent
SUFFIX = ".in"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 40


def write_skeleton(name: str, role: Role, parent: Path) -> Path:
    """Writes `parent/name`, and returns it. Raises `InvalidInput`; then nothing is written."""
    words = names_of(name)
    if not parent.is_dir():
        raise InvalidInput("into", str(parent), "a folder that exists")
    folder = parent / name
    if folder.exists() or folder.is_symlink():
        raise InvalidInput("into", str(folder), "a place that is free: nothing is overwritten")
    texts = {
        target_of(file, source, words["module"]): Template(file.read_text(encoding="utf-8")).substitute(words)
        for source in (TEMPLATES / "common", TEMPLATES / role)
        for file in sorted(source.rglob(f"*{SUFFIX}"))
    }
    for target, text in texts.items():
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def target_of(file: Path, source: Path, module: str) -> Path:
    """Where a template goes, below the new folder."""
    relative = str(file.relative_to(source)).removesuffix(SUFFIX)
    return Path(relative.replace("__module__", module))


def names_of(name: str) -> dict[str, str]:
    """What a distribution called `name` calls its parts. Raises `InvalidInput`."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        accepted = f"lower-case letters and digits, words joined by '-', at most {LONGEST}: soft-focus"
        raise InvalidInput("name", name, accepted)
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        raise InvalidInput("name", name, "no word of Python's own")
    if name in {entry.name for entry in importlib.metadata.entry_points(group=GROUP)}:
        raise InvalidInput("name", name, "a name that no installed plugin has")
    if importlib.util.find_spec(module) is not None:
        raise InvalidInput("name", name, f"a name that no installed package has; {module!r} can be imported")
    words = name.split("-")
    return {
        "id": name,
        "module": module,
        "cls": "".join(word.capitalize() for word in words),
        "title": " ".join(words).capitalize(),
    }
