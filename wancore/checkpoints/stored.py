"""How a tensor lies in its files: as it is, or as the parts of a quantised weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

    from wancore.quant.weight import Weight

#: Parts by role, shape without padding -> the weight. Raises `ValueError` where they do not belong together.
MakeWeight = Callable[["Mapping[str, torch.Tensor]", tuple[int, ...]], "Weight"]


class Piece(NamedTuple):
    """A tensor stored as `name` in `file`, or its rows [first, end) if `rows` is given."""

    file: Path
    name: str
    rows: tuple[int, int] | None = None


#: The role of the tensor that holds a weight's values, whatever its scales are.
CODES = "codes"


@dataclass(frozen=True)
class Encoding:
    """A weight stored in other tensors.

    `scheme`: who stores it so, one word; `format`: what a message calls it. `parts`: role -> the stored
    tensor, `CODES` among them. `shape`: of the weight, as far as the file tells it: both axes may be
    rounded up to a multiple of `block`. `make`: builds it; None where nobody can, and `problem` says why.
    """

    scheme: str
    format: str
    parts: Mapping[str, TensorInfo]
    shape: tuple[int, ...]
    make: MakeWeight | None
    block: int = 1
    problem: str = ""

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts.values())

    @property
    def stored_name(self) -> str:
        """The name of the codes in their file."""
        return next(piece.name for piece in self.parts[CODES].pieces if isinstance(piece, Piece))

    def covers(self, shape: tuple[int, ...]) -> bool:
        """Whether a weight of `shape` is stored in this one, padding aside."""
        padded = tuple(-(-size // self.block) * self.block for size in shape)
        return 0 not in shape and padded == self.shape


@dataclass(frozen=True)
class Encoded:
    """A weight that has to be decoded, or its rows [first, end) if `rows` is given."""

    encoding: Encoding
    rows: tuple[int, int] | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(file for part in self.encoding.parts.values() for file in part.files)


class TensorInfo(NamedTuple):
    """One tensor of a view: `dtype` in safetensors' spelling, and the pieces its data is made of.

    Several pieces are stacked along the first axis; the result is seen in `shape`. For a quantised
    weight, `dtype` is that of its codes (or GGUF's name of the type), `nbytes` counts all of its parts.
    """

    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    pieces: tuple[Piece | Encoded, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        if len(self.pieces) == 1 and isinstance(only := self.pieces[0], Piece):
            return (only.file,)
        return tuple(f for p in self.pieces for f in ((p.file,) if isinstance(p, Piece) else p.files))

    @property
    def encoded(self) -> Encoded | None:
        """The one quantised weight that this is, if it is no plain tensor and no stack."""
        only = self.pieces[0] if len(self.pieces) == 1 else None
        return only if isinstance(only, Encoded) else None

    @property
    def encodings(self) -> tuple[Encoding, ...]:
        return tuple(p.encoding for p in self.pieces if isinstance(p, Encoded))


def with_rows(piece: Piece | Encoded, rows: tuple[int, int]) -> Piece | Encoded:
    """Only the rows [first, end) of what `piece` was made from."""
    return piece._replace(rows=rows) if isinstance(piece, Piece) else replace(piece, rows=rows)
