"""`python -m wancore.parity PATH…`: the same report as `wancore parity`."""

from __future__ import annotations

import sys
from pathlib import Path

from wancore.parity.builtin import core_kinds
from wancore.parity.runner import Summary, registered, run
from wancore.plugins import plugin_manager


def main(paths: list[str]) -> int:
    plugin_kinds = [kind for _, kind in plugin_manager().collect("wancore_parity")]
    outcomes = []
    for outcome in run([Path(p) for p in paths], registered([*core_kinds(), *plugin_kinds]), ()):
        print(outcome.line(), flush=True)
        outcomes.append(outcome)
    summary = Summary.of(outcomes)
    print(summary.line())
    return 0 if summary.succeeded(strict=False) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
