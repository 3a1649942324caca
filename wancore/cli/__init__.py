"""The `wancore` command. torch is imported only by commands that compute."""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
    from wancore.cli.app import run

    run()
