"""`wancore-client`: generate, talk, watch, families, models, loras, upload, jobs, cancel."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from wancore_proto.v1 import catalog_service_pb2, job_pb2

from wancore_client.attachments import of_attachment, parse_attachments
from wancore_client.client import Client
from wancore_client.errors import ApiError, Unavailable, WancoreClientError
from wancore_client.generation import Generation
from wancore_client.loras import parse_lora
from wancore_client.microphone import Speaker
from wancore_client.output import output
from wancore_client.progress import Display
from wancore_client.session import Session
from wancore_client.soundtrack import wav_of

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Address = Annotated[str | None, typer.Option(help="HOST:PORT [WANCORE_ADDRESS, else 127.0.0.1:50700]")]
Provenance = Annotated[bool, typer.Option(help="write into MP4 files that a model made them")]
Out = Annotated[str, typer.Option(help="NAME.mp4, a folder for PNG files, NAME.rgb, or - for raw RGB")]


@app.command()
def generate(
    prompt: Annotated[str, typer.Option(help="what to show")] = "",
    negative_prompt: Annotated[str | None, typer.Option(help="what not to show")] = None,
    family: Annotated[str | None, typer.Option(help="as `families` lists it")] = None,
    model: Annotated[str | None, typer.Option(help="as `models` lists it")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels")] = None,
    frames: Annotated[int | None, typer.Option(help="how many frames")] = None,
    fps: Annotated[float | None, typer.Option(help="frames per second")] = None,
    steps: Annotated[int | None, typer.Option(help="denoising steps")] = None,
    seed: Annotated[int | None, typer.Option(help="0 to 2^63 - 1 [random]")] = None,
    solver: Annotated[str | None, typer.Option(help="name of a solver")] = None,
    guidance: Annotated[float | None, typer.Option(help="guidance scale")] = None,
    shift: Annotated[float | None, typer.Option(help="shift of the noise schedule")] = None,
    input: Annotated[
        list[str] | None,
        typer.Option(help="ROLE=FILE, for example image=start.png; FAMILY/ROLE=FILE of an attached family"),
    ] = None,
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the family; JSON or text")] = None,
    lora: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[:STRENGTH]", help="as `loras` lists it; also NAME:expert=high,blocks=0-9"),
    ] = None,
    attach: Annotated[
        list[str] | None, typer.Option(metavar="FAMILY[:NAME=VALUE,…]", help="a further family")
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option(metavar="[FAMILY=]MODEL", help="a family's own weights, as `models` lists them"),
    ] = None,
    out: Out = "out.mp4",
    provenance: Provenance = True,
    address: Address = None,
) -> None:
    """Make a video, and write its frames as they come."""
    with Client(address) as client:
        generation = client.generate(
            prompt,
            negative_prompt=negative_prompt,
            family=family,
            model=model,
            size=parse_size(size),
            frames=frames,
            fps=fps,
            steps=steps,
            seed=seed,
            solver=solver,
            guidance=guidance,
            shift=shift,
            loras=[parse_lora(text) for text in lora or ()],
            modules=[text for text in module or () if "=" not in text],
            attachments=parse_attachments(
                attach or (),
                [text for text in input or () if of_attachment(text)],
                [text for text in module or () if "=" in text],
            ),
            inputs=dict(pair(text, "--input") for text in input or () if not of_attachment(text)),
            params={name: value(text) for name, text in (pair(t, "--param") for t in param or ())},
        )
        write(generation, out, provenance)


@app.command()
def talk(
    audio: Annotated[str, typer.Option(help="a file, or - for raw 16-bit mono PCM, 16 kHz, as it is spoken")],
    image: Annotated[
        Path | None, typer.Option(help="who talks; default: the model's own, if it has one")
    ] = None,
    prompt: Annotated[str, typer.Option(help="what to show")] = "",
    family: Annotated[str, typer.Option(help="one that can run live")] = "infinitetalk",
    model: Annotated[str | None, typer.Option(help="as `models` lists it")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels")] = None,
    fps: Annotated[float | None, typer.Option(help="frames per second")] = None,
    steps: Annotated[int | None, typer.Option(help="denoising steps")] = None,
    seed: Annotated[int | None, typer.Option(help="0 to 2^63 - 1 [random]")] = None,
    param: Annotated[list[str] | None, typer.Option(help="NAME=VALUE of the family, as window=33")] = None,
    lora: Annotated[list[str] | None, typer.Option(help="as `loras` lists it")] = None,
    out: Out = "out.mp4",
    provenance: Provenance = True,
    address: Address = None,
) -> None:
    """A live session: speech goes in while it is spoken, frames are written as they come."""
    with Client(address) as client:
        params = {name: value(text) for name, text in (pair(t, "--param") for t in param or ())}
        session = client.session(
            prompt, family=family, model=model, size=parse_size(size), fps=fps, steps=steps, seed=seed,
            params=params, inputs={"image": image} if image is not None else {},
            loras=[parse_lora(text) for text in lora or ()],
        )  # fmt: skip
        with session:
            converse(session, audio, out, provenance)


def converse(session: Session, audio: str, out: str, provenance: bool) -> None:
    """Frames to `out`, with what was said; how late each block is goes to standard error."""
    console = Console(stderr=True)
    with output(out, provenance) as sink:
        speaker, started = Speaker(session, audio), time.monotonic()
        frames, block = 0, -1
        for frame in session.frames():
            if session.block != block:
                block = session.block
                at = time.monotonic() - started
                console.print(f"block {block}: from {frame.pts:.2f} s of video, {at:.2f} s after the start")
                sink.hear(wav_of(bytes(speaker.said), session.sample_rate))
            sink.write(frame, session.header)
            frames += 1
    if speaker.problem is not None:
        raise speaker.problem
    if not frames:
        seconds = len(speaker.said) / 2 / session.sample_rate
        raise WancoreClientError(f"--audio: got {seconds:.3f} s of sound; accepted: as much as a frame lasts")
    console.print(f"{frames} frames" + (f" in {out}" if out != "-" else ""))


@app.command()
def watch(
    job: Annotated[str, typer.Argument(help="jobs/{uuid}")],
    out: Annotated[str | None, typer.Option(help="also write the frames, as `generate` does")] = None,
    address: Address = None,
) -> None:
    """Follow a job to its end."""
    with Client(address) as client:
        write(client.watch(job, frames=out is not None), out)


@app.command()
def families(
    id: Annotated[str | None, typer.Argument(help="tell all about this one")] = None, address: Address = None
) -> None:
    """What the server can make."""
    with Client(address) as client:
        if id is not None:
            describe(client, id)
            return
        table = Table("family", "name", "roles", "inputs")
        for family in client.families():
            roles = [role_name(role) for role in family.roles]
            inputs = [usage(i) + ("" if i.required else "?") for i in family.inputs]
            table.add_row(
                family.name.removeprefix("families/"),
                family.display_name,
                ", ".join(roles),
                ", ".join(inputs),
            )
        Console().print(table)


@app.command()
def models(address: Address = None) -> None:
    """The models that a request can name."""
    with Client(address) as client:
        table = Table("model", "family", "default")
        for model in client.models():
            family = model.family.removeprefix("families/")
            table.add_row(model.name.removeprefix("models/"), family, "yes" if model.default_model else "")
        Console().print(table)


@app.command()
def loras(address: Address = None) -> None:
    """The LoRAs that a request can name."""
    with Client(address) as client:
        table = Table("LoRA", "file", "what", "MB", "in memory of")
        for lora in client.loras():
            what = lora.problem or lora.description
            held = ", ".join(name.removeprefix("workers/") for name in lora.resident_on)
            row = (
                lora.name.removeprefix("loras/"),
                lora.display_name,
                what,
                f"{lora.size_bytes / 1e6:.1f}",
                held,
            )
            table.add_row(*map(escape, row))
        Console().print(table)


@app.command()
def load_lora(
    name: Annotated[str, typer.Argument(help="as `loras` lists it")],
    worker: Annotated[str, typer.Option(help="one worker instead of all")] = "",
    address: Address = None,
) -> None:
    """Have the workers read a LoRA into memory."""
    with Client(address) as client:
        typer.echo("\n".join(client.load_lora(name, worker)))


@app.command()
def unload_lora(
    name: Annotated[str, typer.Argument(help="as `loras` lists it")], address: Address = None
) -> None:
    """Have the workers drop a LoRA from memory."""
    with Client(address) as client:
        typer.echo("\n".join(client.unload_lora(name)) or "no worker held it")


@app.command()
def jobs(address: Address = None) -> None:
    """Your jobs, newest first."""
    with Client(address) as client:
        table = Table("job", "state", "family", "frames")
        for job in client.jobs():
            state = job_pb2.Job.State.Name(job.state).removeprefix("STATE_").lower()
            table.add_row(job.name, state, job.spec.family.removeprefix("families/"), str(job.frame_count))
        Console().print(table)


@app.command()
def cancel(job: Annotated[str, typer.Argument(help="jobs/{uuid}")], address: Address = None) -> None:
    """Cancel a job."""
    with Client(address) as client:
        state = job_pb2.Job.State.Name(client.cancel(job).state)
    typer.echo(state.removeprefix("STATE_").lower())


@app.command()
def upload(
    file: Annotated[list[Path], typer.Argument(help="files to send")], address: Address = None
) -> None:
    """Send files, and print the names of the assets."""
    with Client(address) as client:
        for path in file:
            typer.echo(client.upload(path))


def write(generation: Generation, out: str | None, provenance: bool = True) -> None:
    """Frames to `out` while the display tells how far it is; Ctrl-C cancels the job."""
    with Display(generation) as display, output(out, provenance) as sink:
        try:
            for frame in generation.frames():
                if frame.index == 0 and out is not None and (wav := generation.sound()) is not None:
                    sink.hear(wav)
                sink.write(frame, generation.header)
                display.frame()
        except KeyboardInterrupt:
            if generation.job:
                generation.cancel()
            raise
    display.summary(out)


def describe(client: Client, id: str) -> None:
    family = client.family(id)
    console = Console()
    console.print(f"[bold]{family.display_name}[/] ({family.name}, {family.plugin} {family.plugin_version})")
    console.print(family.description)
    for declared in family.inputs:
        needed = "required" if declared.required else "optional"
        console.print(f"  --input {usage(declared)}=FILE  {declared.description} ({needed})", highlight=False)
    for name, schema in json.loads(family.parameter_schema).get("properties", {}).items():
        default = json.dumps(schema["default"]) if "default" in schema else "required"
        console.print(f"  --param {name}=...  {schema.get('description', '')} \\[{default}]", highlight=False)


def usage(declared: catalog_service_pb2.InputDeclaration) -> str:
    """How a request names an input: `role`, or `role[0]` where there can be several."""
    head, dot, rest = declared.role.partition(".")
    return f"{head}[0]{dot}{rest}" if declared.many else declared.role


def role_name(role: int) -> str:
    return catalog_service_pb2.Family.Role.Name(role).removeprefix("ROLE_").lower()


def parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, separator, height = text.partition("x")
    if not (separator and width.isdigit() and height.isdigit()):
        raise WancoreClientError(f"--size: got {text!r}; accepted: WIDTHxHEIGHT, for example 832x480")
    return int(width), int(height)


def pair(text: str, option: str) -> tuple[str, str]:
    name, separator, rest = text.partition("=")
    if not separator:
        raise WancoreClientError(f"{option}: got {text!r}; accepted: NAME=VALUE")
    return name, rest


def value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main() -> None:
    """One line for what the user can do something about; 130 after an interrupt."""
    try:
        app()
    except ApiError as error:
        if isinstance(error, Unavailable) and not error.reason:  # nobody was there to give one
            where = "start one with `wancore serve`, or say where it is: --address or WANCORE_ADDRESS"
            print(f"error: no server can be reached ({error.status.message}); {where}", file=sys.stderr)
            sys.exit(1)
        fields = [f"{field}: {problem}" for field, problem in error.fields.items()]
        lines = [f"error: {error}", *(f"  {field}" for field in fields if field not in str(error))]
        print("\n".join(lines), file=sys.stderr)
        sys.exit(1)
    except WancoreClientError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a full disk, a pipe that closed
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
