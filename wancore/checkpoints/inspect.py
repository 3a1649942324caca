"""What a file or folder is, from its headers: the facts behind `wancore inspect`. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from wancore.checkpoints.base import num_heads
from wancore.checkpoints.base_keys import BaseSpec, base_spec, expected_keys, extra_keys, has_base
from wancore.checkpoints.canonical import in_diffusers_names, to_canonical
from wancore.checkpoints.components import ComponentClaim, component_claims
from wancore.checkpoints.container import Foreign, container_of, kind_of
from wancore.checkpoints.folder import PIPELINE_FILE, expert_folders
from wancore.checkpoints.known import Entry, KnownFamilies, known_among, named_otherwise, with_these_keys
from wancore.checkpoints.layer_formats import found_formats
from wancore.checkpoints.layout import find_parts
from wancore.checkpoints.models_tree import is_models_tree
from wancore.checkpoints.open import open_view
from wancore.checkpoints.parts import Part, Parts, spoken
from wancore.checkpoints.prefix import peel_prefix
from wancore.checkpoints.recognise import Recogniser, claims_on, decide
from wancore.checkpoints.report import Contents, DtypeShare, Identity, KeyList, Report
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.lora.facts import LoraFacts


def inspect(path: Path | str, families: Iterable[Recogniser]) -> Report:
    """Looks at the headers of `path` and asks `families` about it.

    Raises `CheckpointError` for what is missing, malformed or ambiguous. A file of a kind that cannot be
    read is reported, with the reason in `problems`.
    """
    path, families = Path(path), list(families)
    if not path.exists():
        raise CheckpointError(path, "no such file or folder")
    if path.is_dir() and holds_several(path):
        return folder_report(path, families)
    if path.is_file() and not path.name.endswith(".json"):
        kind = kind_of(path)
        if isinstance(kind, Foreign):
            return Report(path, f"a {kind.name} file", kind.name, (f"is not read: {kind.advice}",))
    return checkpoint_report(Looked.of(open_view(path)), families)


def holds_several(folder: Path) -> bool:
    return is_models_tree(folder) or (folder / PIPELINE_FILE).is_file() or expert_folders(folder) is not None


def folder_report(folder: Path, families: Sequence[Recogniser]) -> Report:
    """One report for every part of a pipeline, of two experts or of a models tree."""
    parts = find_parts(folder)
    reports = {
        label: part_report(path, families)
        for part in parts.found
        if part != "tokenizer"
        for label, path in labelled(part, parts)
    }
    what = "two experts of one model" if expert_folders(folder) else "a pipeline of several models"
    if is_models_tree(folder):
        what = "a folder of models"
    return Report(folder, what, "folder", parts=reports)


def labelled(part: Part, parts: Parts) -> list[tuple[str, Path]]:
    paths = parts.found[part]
    if len(paths) == 1:
        return [(spoken(part), paths[0])]
    return [(f"{spoken(part)}: {path.name}", path) for path in paths]


def part_report(path: Path, families: Sequence[Recogniser]) -> Report:
    try:
        return inspect(path, families)
    except CheckpointError as error:
        return Report(path, "unreadable", "", problems=(error.problem,))


@dataclass(frozen=True)
class Looked:
    """A file as it is, without prefix (what families are shown), and under canonical names."""

    view: FileView
    shown: FileView
    canonical: FileView
    prefix: str

    @classmethod
    def of(cls, view: FileView) -> Looked:
        peeled = peel_prefix(view)
        return cls(view, peeled.view, to_canonical(peeled.view), peeled.prefix)

    def at(self, path: Path, metadata: Mapping[str, str]) -> Looked:
        """The same tensors in a file of another name and with other metadata."""
        view = self.view.at(path, metadata)
        shown = self.shown.at(path, metadata) if self.shown is not self.view else view
        canonical = self.canonical.at(path, metadata) if self.canonical is not self.shown else shown
        twin = Looked(view, shown, canonical, self.prefix)
        twin.__dict__.update({name: getattr(self, name) for name in OF_HEADERS})
        return twin

    @cached_property
    def components(self) -> tuple[ComponentClaim, ...]:
        return tuple(component_claims(self.shown))

    @cached_property
    def with_these_keys(self) -> tuple[Entry, ...]:
        """The known families it may belong to, before its name is asked."""
        return with_these_keys(self.canonical)

    @cached_property
    def lora(self) -> LoraFacts | None:
        """What it changes; None for a file that is no LoRA."""
        adapter = any(claim.role == "lora" for claim in self.components)
        return LoraFacts.of(self.view) if adapter else None

    @cached_property
    def contents(self) -> Contents:
        """As if its keys belonged to something."""
        view, canonical = self.view, self.canonical
        spec = base_spec(canonical) if has_base(canonical) else None
        missing = [name for name in expected_keys(spec) if name not in canonical] if spec else []
        return Contents(
            files=len(view.files),
            bytes=sum(info.nbytes for info in view.entries.values()),
            tensors=len(view),
            parameters=sum(math.prod(info.shape) for info in self.shown.entries.values()),
            dtypes=dtype_shares(view),
            formats=tuple(found_formats(view)),
            prefix=self.prefix,
            naming="diffusers" if in_diffusers_names(self.shown) else "upstream" if spec else "",
            sizes=sizes(canonical, spec),
            missing=KeyList.of(missing),
        )


#: What names, shapes and dtypes tell alone, so that it holds for every file with the same.
OF_HEADERS = ("contents", "components", "with_these_keys", "lora")


def checkpoint_report(looked: Looked, families: Sequence[Recogniser]) -> Report:
    """What `inspect` reports of a file that has been opened. Raises `CheckpointError`."""
    view = looked.view
    identity = identify(looked, families)
    contents = read_contents(looked, identity)
    return Report(
        path=view.path,
        what=described(contents, identity, looked.lora),
        container=", ".join(sorted({container_of(file).name for file in view.files})),
        problems=(*problems(contents), *name_problems(identity)),
        needs=tuple(needs(looked.canonical, identity)),
        contents=contents,
        identity=identity,
        lora=looked.lora,
    )


def identify(looked: Looked, families: Sequence[Recogniser]) -> Identity:
    claims, components = claims_on(looked.shown, families), looked.components
    try:
        decided, why = decide(claims, looked.view.path), ""
    except CheckpointError as error:
        decided, why = None, "" if components else error.problem
    known = known_among(looked.with_these_keys, looked.canonical)
    return Identity(decided, why, tuple(claims), components, known)


def read_contents(looked: Looked, identity: Identity) -> Contents:
    contents, known = looked.contents, identity.known
    if identity.components:
        contents = replace(contents, naming=identity.components[0].naming)
    if identity.claims or known.fits or known.same_keys or identity.components:
        return contents
    return replace(contents, unexpected=KeyList.of(extra_keys(looked.canonical)))


def dtype_shares(view: FileView) -> tuple[DtypeShare, ...]:
    """Largest first."""
    by_dtype: dict[str, list[int]] = {}
    for info in view.entries.values():
        by_dtype.setdefault(info.dtype, []).append(info.nbytes)
    shares = [DtypeShare(dtype, len(sizes), sum(sizes)) for dtype, sizes in by_dtype.items()]
    return tuple(sorted(shares, key=lambda share: -share.bytes))


def sizes(view: FileView, spec: BaseSpec | None) -> dict[str, object]:
    """The base transformer's sizes; `num_heads` None where nothing tells it."""
    if spec is None:
        return {}
    try:
        heads: int | None = num_heads(view, spec.dim)
    except CheckpointError:
        heads = None
    return {**asdict(spec), "num_heads": heads}


KINDS = {
    "base": "a whole transformer",
    "module": "a module to put on a transformer",
    "merged": "a transformer merged with a module",
    "low-rank": "a low-rank file that is no ordinary LoRA",
}


def described(contents: Contents, identity: Identity, lora: LoraFacts | None) -> str:
    if identity.components:
        files = " and ".join(f"a {claim.name} file" for claim in identity.components)
        return f"{files} {lora.phrase}".rstrip() if lora else files
    if identity.family:
        return f"{KINDS[identity.family.kind]} of {identity.family.family}"
    if identity.known.fits:
        known = identity.known.fits[0]
        return f"{KINDS[known.kind]} of {known.family}"
    return "a transformer of an unknown family" if contents.sizes else "unknown weights"


def problems(contents: Contents) -> list[str]:
    """Why the file cannot be loaded as it is."""
    found = [
        f"{one.layers} layers are stored as {one.name}, which is not read: {one.problem}"
        for one in contents.formats
        if not one.readable
    ]
    if contents.missing.count:
        found.append(f"{contents.missing.count} keys of the transformer are missing")
    if contents.unexpected.count:
        found.append(f"{contents.unexpected.count} keys belong to nothing that is known")
    if contents.sizes and contents.sizes["num_heads"] is None:
        found.append("the number of heads is unknown; put a config.json with num_heads beside it")
    return found


def name_problems(identity: Identity) -> list[str]:
    """Says so where the file's name speaks of a family that is not installed."""
    other = named_otherwise(identity.known, identity.family) if identity.family else None
    if other is None:
        return []
    return [f"its name says {other.family}, which is not installed: {', '.join(to_install(identity.known))}"]


def needs(canonical: FileView, identity: Identity) -> list[str]:
    """What has to be given beside the file, the family's own needs first."""
    wanted = list(identity.family.needs) if identity.family else []
    if not identity.family and identity.known.fits:
        wanted += to_install(identity.known)
    if has_base(canonical):
        wanted += base_needs(base_spec(canonical))
    elif identity.known.fits or any(claim.role == "lora" for claim in identity.components):
        wanted.append("the transformer it was made for")
    return list(dict.fromkeys(wanted))


def to_install(known: KnownFamilies) -> list[str]:
    return [
        f"the plugin {fit.distribution}"
        if fit.distribution
        else f"a plugin for {fit.family}, which is not known"
        for fit in known.fits
    ]


def base_needs(spec: BaseSpec) -> list[str]:
    wanted = [f"a VAE of {spec.out_dim} latent channels"]
    if spec.text_dim:
        wanted.append(f"a UMT5 text encoder of width {spec.text_dim} and its tokenizer")
    if spec.image_dim:
        wanted.append(f"a CLIP image encoder of width {spec.image_dim}")
    return wanted
