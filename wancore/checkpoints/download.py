"""Models from the Hugging Face Hub, only ever when a user asks for one.

Partial files, checksums, the shared cache and the progress bars are those of `huggingface_hub`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wancore.errors import InvalidInput


@dataclass(frozen=True)
class Wanted:
    """Files of a repository `OWNER/NAME`; `include` and `exclude` are patterns like `*.safetensors`.

    `revision`: a branch, tag or commit; None for the main branch.
    """

    repository: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    revision: str | None = None


def download(wanted: Wanted, to: Path | None = None) -> Path:
    """Downloads what is not there yet and returns the folder it is in: `to`, or one of the shared cache.

    Raises `InvalidInput` for a repository, revision or pattern that leads to nothing, and where the Hub
    cannot be reached or asks for permission.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(
            snapshot_download(
                wanted.repository,
                revision=wanted.revision,
                allow_patterns=list(wanted.include) or None,
                ignore_patterns=list(wanted.exclude) or None,
                local_dir=to,
            )
        )
    except HFValidationError as error:
        raise InvalidInput("repository", wanted.repository, "OWNER/NAME") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise InvalidInput(
            "repository", wanted.repository, f"one that the Hub gives ({reason(error)})"
        ) from error
    if not any(path.is_file() for path in files_in(folder)):
        accepted = f"a pattern that fits files of {wanted.repository}"
        raise InvalidInput("include", list(wanted.include), accepted)
    return folder


def reason(error: Exception) -> str:
    """The first sentence of what the library says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")


def files_in(folder: Path) -> Iterator[Path]:
    """What is in `folder`, but for the notes on unfinished downloads."""
    return (path for path in folder.rglob("*") if ".cache" not in path.relative_to(folder).parts)
