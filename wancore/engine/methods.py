"""The sampling methods of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wancore.engine.plan import Plan
from wancore.errors import Conflict, InvalidInput
from wancore.plugins.inputs import parse_parameters
from wancore.request import Request
from wancore.sampling.method import MethodSpec, check_together


def chosen_methods(request: Request, methods: Mapping[str, MethodSpec]) -> list[tuple[MethodSpec, Any]]:
    """The request's methods with their parameters checked, in the order in which they act.

    Raises `InvalidInput` for an unknown one or a wrong parameter, `Conflict` for two that need one thing.
    """
    chosen = []
    for use in request.methods:
        if use.name not in methods:
            raise InvalidInput(
                "methods", use.name, f"one of: {', '.join(sorted(methods)) or 'none installed'}"
            )
        spec = methods[use.name]
        chosen.append((spec, parse_parameters(spec.parameters, use.params, f"methods.{use.name}")))
    check_together(spec for spec, _ in chosen)
    return sorted(chosen, key=lambda pair: (pair[0].order, pair[0].name))


def check_owned(methods: Sequence[MethodSpec], plan: Plan) -> None:
    """Raises `Conflict` where a method needs what one of the families has."""
    uses = (plan.request, *(plan.request.of(use) for use in plan.request.attachments))
    for family, request in zip(plan.families, uses, strict=True):
        for method in methods:
            if method.owns in family.claimed(request):
                raise Conflict(method.owns, family.name, method.name)
