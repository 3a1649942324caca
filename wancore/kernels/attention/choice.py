"""Which backend serves which call: the user's choice for each role, else the best that is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from wancore.errors import InvalidInput
from wancore.kernels.attention import flash, pytorch, sage
from wancore.kernels.attention.backend import ROLES, Attend, Backend, Call, Role, Run, capability_of, listed
from wancore.kernels.attention.selftest import measured_error, verdict

log = logging.getLogger(__name__)

AUTO = "auto"
#: The core's own; plugins add to them (`wancore_attention`).
BACKENDS: tuple[Backend, ...] = (*flash.BACKENDS, *pytorch.BACKENDS, *sage.BACKENDS)


@cache
def loaded(backend: Backend) -> tuple[Run | None, str]:
    """What it runs, or why it cannot be used; imported once in a process."""
    try:
        return backend.load(), ""
    except (ImportError, OSError, RuntimeError) as error:
        return None, " ".join(str(error).split()) or type(error).__name__


@cache
def tested(backend: Backend, device: torch.device, dtype: torch.dtype, head_dim: int) -> tuple[float, str]:
    """The error of its self-test on this device, and why it is not to be used after that, or ''."""
    run, problem = loaded(backend)
    if run is None:
        return float("nan"), problem
    try:
        error = measured_error(run, device, dtype, head_dim)
    except RuntimeError as failure:
        return float("nan"), f"its self-test fails: {' '.join(str(failure).split())[:200]}"
    return error, verdict(backend, error)


def parse_choice(text: str) -> dict[Role | None, str]:
    """`fa3`, or `self=fa3-fp8,text=cudnn`: backends by role, None for the one that names no role.

    Raises `InvalidInput`.
    """
    chosen: dict[Role | None, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        role, equals, name = part.rpartition("=")
        if equals and role not in ROLES:
            raise InvalidInput("attention", part, f"NAME or ROLE=NAME, with the roles {listed(ROLES)}")
        key: Role | None = next((r for r in ROLES if r == role), None)
        if key in chosen:
            raise InvalidInput("attention", text, "one backend for each role")
        chosen[key] = name
    return {role: name for role, name in chosen.items() if name != AUTO}


@dataclass(frozen=True)
class Served:
    """What serves a call, and why."""

    backend: Backend
    run: Run
    reason: str


class Attention:
    """Attention by role; itself an `Attend`, that of self-attention.

    `chosen`: backends by role (see `parse_choice`). A backend that is named for a role, or at all for
    self-attention, serves it or the call fails; in other roles, one that is named without a role serves
    what it can without loss, and the automatic choice the rest. Raises `InvalidInput` for a name that
    is not known.
    """

    def __init__(
        self, chosen: Mapping[Role | None, str] | str = AUTO, backends: Sequence[Backend] = BACKENDS
    ) -> None:
        self.chosen = parse_choice(chosen) if isinstance(chosen, str) else dict(chosen)
        self.backends = {backend.name: backend for backend in backends}
        for role, name in self.chosen.items():
            if name not in self.backends:
                raise InvalidInput(field_of(role), name, f"{AUTO}, or one of: {listed(self.backends)}")
        self._served: dict[tuple[Role, torch.device, torch.dtype, int, bool], Served] = {}

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.attend("self", q, k, v)

    def attend(self, role: Role, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q [S, H, d], k and v [M, H, d] -> [S, H, d]."""
        return self.groups(role, q[None], k[None], v[None])[0]

    def groups(self, role: Role, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None = None) -> Tensor:
        """q [G, S, H, d], k and v [G, M, H, d] -> [G, S, H, d]; a group without keys gets zeros."""
        out = self.run(role, q, lengths is not None)(q, k, v, lengths)
        if lengths is None:
            return out
        return out.masked_fill((lengths == 0)[:, None, None, None], 0)  # backends differ on empty rows

    def run(self, role: Role, q: Tensor, varlen: bool) -> Run:
        if torch.is_grad_enabled() and q.requires_grad:
            return pytorch.grouped_sdpa  # the others compute forwards only
        key = (role, q.device, q.dtype, q.shape[-1], varlen)
        served = self._served.get(key)
        if served is None:
            served = self._served[key] = self.settle(role, q.device, q.dtype, q.shape[-1], varlen)
        return served.run

    def settle(
        self, role: Role, device: torch.device, dtype: torch.dtype, head_dim: int, varlen: bool = False
    ) -> Served:
        """The backend for such calls. Raises `InvalidInput` where the user's choice cannot serve them."""
        call = Call(device.type, capability_of(device), dtype, head_dim, varlen)
        for key in (role, None):
            name = self.chosen.get(key)
            if name is None:
                continue
            backend = self.backends[name]
            problem = backend.refusal(call) or trial(backend, call, device)
            strict = key is not None or role == "self"
            if not problem and (strict or backend.exact):
                return Served(backend, run_of(backend), "chosen")
            if strict:
                others = self.accepted(lambda b: b.refusal(call) or loaded(b)[1], problem)
                raise InvalidInput(field_of(key), name, others)
        return self.automatic(call, device)

    def automatic(self, call: Call, device: torch.device) -> Served:
        """The first of the ranked backends that serves the call."""
        ranked = [
            b for b in self.backends.values() if b.rank is not None and call.capability >= b.ranked_from
        ]
        for backend in sorted(ranked, key=lambda b: b.rank or 0):
            if backend.refusal(call):
                continue
            if not (problem := trial(backend, call, device)):
                return Served(backend, run_of(backend), "the fastest here")
            if loaded(backend)[0] is not None:
                log.warning("attention backend %s is left out: %s", backend.name, problem)
        return Served(pytorch.BACKENDS[-1], pytorch.grouped_sdpa, "nothing else serves such calls")

    def accepted(self, why: Callable[[Backend], str], problem: str) -> str:
        """What would be taken instead, and why the rest would not."""
        reasons = {backend.name: why(backend) for backend in self.backends.values()}
        fitting = [name for name, reason in reasons.items() if not reason]
        refused = [f"{name} ({reason})" for name, reason in reasons.items() if reason]
        return f"{AUTO}, {listed(fitting)} ({problem}); not usable here: {listed(refused)}"

    def check(self, device: torch.device) -> None:
        """Raises `InvalidInput` for a chosen backend that this device or installation does not have."""
        for role, name in self.chosen.items():
            if problem := unusable(self.backends[name], device):
                raise InvalidInput(
                    field_of(role), name, self.accepted(lambda b: unusable(b, device), problem)
                )


def unusable(backend: Backend, device: torch.device) -> str:
    """Why the backend cannot be used on a device at all, or ''."""
    return backend.refusal_of_device(device.type, capability_of(device)) or loaded(backend)[1]


def run_of(backend: Backend) -> Run:
    run, problem = loaded(backend)
    if run is None:
        raise RuntimeError(problem)
    return run


def trial(backend: Backend, call: Call, device: torch.device) -> str:
    """Why a backend that declares itself capable is not to be used, or ''.

    PyTorch's own are trusted; on the meta device nothing can be computed.
    """
    if backend in pytorch.BACKENDS or device.type == "meta":
        return loaded(backend)[1]
    return tested(backend, device, call.dtype, call.head_dim)[1]


def field_of(role: Role | None) -> str:
    return "attention" if role is None else f"attention.{role}"


def for_role(attend: Attend, role: Role) -> Attend:
    """What serves `role`, where `attend` differs by role; else `attend` itself."""
    if not isinstance(attend, Attention):
        return attend

    def serve(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend.attend(role, q, k, v)

    return serve


_in_use = Attention()


def use(attention: Attention) -> None:
    """Makes `attention` what `grouped` uses: settings hold for the process."""
    global _in_use
    _in_use = attention


def grouped(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor | None = None, role: Role = "grouped") -> Tensor:
    """Attention within groups: q [G, s, H, d], k and v [G, M, H, d] -> [G, s, H, d].

    `lengths` [G]: how many of each group's keys count; None: all. A group without keys gets zeros.
    """
    return _in_use.groups(role, q, k, v, lengths)
