"""What merged weights start from, kept where a change of adapters finds it as fast as was asked."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from wancore.checkpoints.layer_formats import found_formats
from wancore.checkpoints.view import FileView
from wancore.errors import CheckpointError
from wancore.quant.weight import QuantisationError, Weight

Place = Literal["file", "host", "device"]
#: A master whose values are farther than this from the quantised ones is another model's.
MAX_DIFFERENCE = 0.5  # of the weight, root mean square: 4-bit formats stay below 0.15


class Originals:
    """Of one transformer and what is attached to it.

    `place`: "file" reads values again when they are needed, "host" keeps them in (pinned) memory, "device"
    beside the weights: the fastest, for as much memory as the weights that adapters change. `master`: the
    float checkpoint that quantised weights were made from; `source`: the one that the model was loaded
    from. Both have canonical names. Raises `CheckpointError` for a master that is quantised itself.
    """

    def __init__(
        self, place: Place = "file", master: FileView | None = None, source: FileView | None = None
    ) -> None:
        if master is not None and (formats := found_formats(master)):
            problem = f"is no master to merge LoRAs from: it is quantised itself ({formats[0].name})"
            raise CheckpointError(master.path, problem)
        self.place, self._master, self._source = place, master, source
        self._kept: dict[nn.Module | nn.Parameter, Tensor] = {}
        self._codes: dict[Weight, list[Tensor]] = {}
        self._checked: set[Weight] = set()

    def has_master(self, name: str) -> bool:
        return self._master is not None and name in self._master

    def master(self, name: str, weight: Weight) -> Tensor | None:
        """The values that a quantised weight was made from, None where they are not known.

        Raises `CheckpointError` where they cannot be those of this weight.
        """
        if self._master is None or name not in self._master:
            return None
        if weight in self._kept:
            return self._kept[weight]
        values = self._master.tensor(name)
        if weight not in self._checked:
            if problem := misfit(weight, values):
                raise CheckpointError(self._master.path, f"is no master of this model: {problem}", name)
            self._checked.add(weight)
        return self._keep(weight, values.to(weight.device) if self.place == "device" else values)

    def before(self, name: str, parameter: nn.Parameter) -> None:
        """To be told before a plain parameter is overwritten in place."""
        if parameter in self._kept or (self.place == "file" and self._in_source(name)):
            return
        self._kept[parameter] = self._copy(parameter)

    def before_codes(self, weight: Weight) -> None:
        """To be told before the buffers of a quantised weight are overwritten in place."""
        if weight not in self._codes:
            self._codes[weight] = [self._copy(buffer) for buffer in weight.buffers()]

    def put_codes_back(self, weight: Weight) -> None:
        """Gives a quantised weight its own buffers again."""
        for buffer, kept in zip(weight.buffers(), self._codes[weight], strict=True):
            buffer.copy_(kept, non_blocking=True)
        if self.place == "file":
            del self._codes[weight]

    def _copy(self, tensor: Tensor) -> Tensor:
        if self.place == "device":
            return tensor.detach().clone()
        copy = tensor.detach().to("cpu", copy=True)
        return copy.pin_memory() if self.place == "host" and tensor.is_cuda else copy

    def of(self, name: str, parameter: nn.Parameter) -> Tensor:
        """The values of a plain parameter that has been overwritten, in its own dtype."""
        if parameter in self._kept:
            return self._kept[parameter]
        assert self._source is not None
        return self._source.tensor(name).to(parameter.dtype)

    def restored(self, parameter: nn.Parameter) -> None:
        """To be told when a parameter has its own values again."""
        if self.place == "file":
            self._kept.pop(parameter, None)

    def _in_source(self, name: str) -> bool:
        return self._source is not None and name in self._source

    def _keep(self, weight: Weight, values: Tensor) -> Tensor:
        if self.place == "host" and weight.device.type == "cuda":
            values = values.clone().pin_memory()
        elif self.place == "host":
            values = values.clone()
        if self.place != "file":
            self._kept[weight] = values
        return values


def misfit(weight: Weight, values: Tensor) -> str:
    """Why `values` cannot be what `weight` was quantised from, or ''."""
    if tuple(values.shape) != weight.shape:
        return f"its shape is {list(values.shape)}, not {list(weight.shape)}"
    difference = QuantisationError.of(weight, values).rel_rms
    return f"it differs by {100 * difference:.0f} %" if difference > MAX_DIFFERENCE else ""
