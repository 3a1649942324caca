"""`wancore convert`: pickle files to safetensors, and checkpoints to another precision."""

from __future__ import annotations

import shutil
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wancore.errors import CheckpointError, InvalidInput

if TYPE_CHECKING:
    from wancore.checkpoints.convert import Conversion


class Precision(StrEnum):
    """What to store matrices in."""

    BF16 = "bf16"
    FP8 = "fp8"


def add_to(app: typer.Typer) -> None:
    app.command("convert")(convert)


def convert(
    file: Annotated[Path, typer.Argument(help="a checkpoint file or folder, or a .pth, .pt, .bin, .ckpt")],
    to: Annotated[
        Precision | None, typer.Option(help="bf16, or fp8 with a scale for each output channel")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="the new .safetensors file")] = None,
) -> None:
    """Convert a pickle file to safetensors, or any checkpoint to bf16 or fp8; say what it costs.

    Pickle files are loaded without running code, in a process with limits.
    """
    from wancore.checkpoints.container import Foreign, kind_of

    pickled = file.is_file() and isinstance(kind_of(file), Foreign)
    if to is None and not pickled:
        raise InvalidInput("to", None, "bf16 or fp8: this file is no pickle, so its precision can change")
    target = checked_target(file, to, out)
    if pickled:
        unpickle(file, target, to)
    elif to is not None:
        change(file, target, to)
    typer.echo(target)


def checked_target(file: Path, to: Precision | None, out: Path | None) -> Path:
    stem = file.name if file.is_dir() else file.stem
    target = out or file.parent / f"{stem}{f'_{to.value}' if to else ''}.safetensors"
    if target.suffix != ".safetensors":
        raise InvalidInput("out", str(target), "a file name that ends in .safetensors")
    if target.exists():
        raise CheckpointError(target, "is there already, and is not overwritten")
    if not target.parent.is_dir():
        raise CheckpointError(target.parent, "no such folder")
    return target


def unpickle(file: Path, target: Path, to: Precision | None) -> None:
    from wancore.checkpoints.unpickle import convert_pickle

    if to is None:
        convert_pickle(file, target)
        return
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wancore-") as folder:
        plain = Path(folder) / (file.stem + ".safetensors")
        convert_pickle(file, plain)
        change(plain, target, to)


def change(source: Path, target: Path, to: Precision) -> None:
    from wancore.checkpoints.convert import convert as write
    from wancore.checkpoints.open import open_view

    view = open_view(source)
    report(write(view, target, to.value))
    if view.config is not None:
        carry_config(source, target)


def report(done: Conversion) -> None:
    """What was written and what it cost."""
    typer.echo(f"{done.tensors} tensors, {done.quantised} of them in fp8 with channel scales")
    if done.worst is None:
        typer.echo("nothing was rounded")
        return
    overall = f"relative error {done.error:.1e} (rms over {len(done.losses)} tensors)"
    typer.echo(f"{overall}, at worst {done.worst.error:.1e} in {done.worst.name}")


def carry_config(source: Path, target: Path) -> None:
    """config.json tells what shapes do not (the number of heads): it goes along, where it can be found."""
    config = (source if source.is_dir() else source.parent) / "config.json"
    beside = target.parent / "config.json"
    if config.is_file() and not beside.exists():
        shutil.copyfile(config, beside)
        typer.echo(f"config.json was copied beside it: {beside}")
    elif config.is_file() and config.resolve() != beside.resolve():
        typer.echo(f"a config.json is there already; this model's own is {config}")
