"""A family's own rules are asked at the call; rules that misbehave harm no other call."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from wancore_client import Client, InvalidRequest, Refused, Unavailable
from wancore_proto.v1 import frames_pb2, job_pb2, job_service_pb2
from wancore_server.catalog.rules import Rules, examine
from wancore_server.errors import Violation
from wancore_server.jobs.rest import without
from wancore_server.jobs.validate import schema_violations
from wancore_talking.parameters import TalkingParameters

from tests.server.harness import Server, eventually
from wancore.errors import InvalidInput
from wancore.plugins import plugin_manager
from wancore.request import Request
from wancore.runtime.settings import Settings

State = job_pb2.Job.State


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Client]]:
    server = Server(
        tmp_path_factory.mktemp("rules"), plugins=("faulty", "strict"), checker_s=1.0, checker_rest_s=3.0,
        checker_memory_bytes=2**30,
    )  # fmt: skip
    try:
        with server.start().client() as client:
            server.ready(client)
            yield server, client
    finally:
        server.end()


def warnings(client: Client, **request: Any) -> list[str]:
    """Reasons of the warnings of a job that succeeds."""
    generation = client.generate(family="strict", **request)
    assert generation.wait().state == State.STATE_SUCCEEDED
    return [w.reason for w in generation.warnings]


@pytest.mark.parametrize("validate_only", [False, True])
def test_all_that_the_rules_refuse_is_told_together(client: Client, validate_only: bool) -> None:
    before = len(list(client.jobs()))
    with pytest.raises(InvalidRequest) as caught:
        client.create(family="strict", frames=10, steps=30, params={"even": 3}, validate_only=validate_only)
    assert set(caught.value.fields) == {"spec.shape.frame_count", "spec.sampling.steps", "spec.params.even"}
    assert "10" in caught.value.fields["spec.shape.frame_count"]
    assert "4n + 1" in caught.value.fields["spec.shape.frame_count"]
    assert len(list(client.jobs())) == before


def test_what_the_schema_and_the_rules_refuse_is_told_together(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.create(family="strict", frames=10, steps=30, params={"even": "three", "colour": "red"})
    told = caught.value.fields
    assert set(told) == {
        "spec.params.even", "spec.params.colour", "spec.shape.frame_count", "spec.sampling.steps"
    }  # fmt: skip
    assert "4n + 1" in told["spec.shape.frame_count"] and "unknown" in told["spec.params.colour"]


def test_rules_that_fail_leave_what_the_schema_refused(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.create(family="strict", params={"even": "three", "rule": "raise"})
    assert set(caught.value.fields) == {"spec.params.even"}


@pytest.mark.parametrize(
    "field, lead, attached",
    [("spec.family", "sauce", None), ("spec.attachments[0].family", "strict", "faulty")],
)
def test_a_family_that_cannot_have_that_part(
    client: Client, field: str, lead: str, attached: str | None
) -> None:
    spec = job_pb2.JobSpec(family=f"families/{lead}")
    if attached:
        spec.attachments.add(family=f"families/{attached}")
    with pytest.raises(Refused) as caught:
        client.call(client.job_calls.CreateJob, job_service_pb2.CreateJobRequest(spec=spec))
    assert caught.value.reason == "UNSUPPORTED_BY_FAMILY"
    assert caught.value.metadata == {"field": field, "family": f"families/{attached or lead}"}


def test_a_session_hears_the_same(client: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        client.session(family="strict", frames=10, params={"even": "three"})
    assert set(caught.value.fields) == {"spec.params.even", "spec.shape.frame_count"}
    with pytest.raises(Refused) as refused:
        client.session(family="soup", params={"even": "three"})
    assert refused.value.reason == "UNSUPPORTED_BY_FAMILY"


def test_what_was_refused_is_left_out() -> None:
    spec = job_pb2.JobSpec(prompt="kept")
    spec.params.update({"a": 1, "a.b": 2, "c": {"d": 3}})
    spec.shape.width, spec.shape.height, spec.shape.frame_count = 64, 48, 9
    spec.sampling.methods.add(name="x").params.update({"e": 4, "f": 5})
    spec.attachments.add(family="families/y").params.update({"g": 6})

    def left(*fields: str) -> job_pb2.JobSpec:
        rest = without(spec, [Violation(field, "") for field in fields])
        assert rest is not None and rest.prompt == "kept"
        return rest

    assert set(left("spec.params.a").params) == {"a.b", "c"}
    assert set(left("spec.params.c.d", "spec.params.a.b").params) == set()
    assert left("spec.shape.width").shape == frames_pb2.VideoShape(frame_count=9)
    assert left("spec.shape.frame_count").shape == frames_pb2.VideoShape(width=64, height=48)
    assert set(left("spec.sampling.methods[0].params.e").sampling.methods[0].params) == {"f"}
    gone = left("spec.sampling.methods[0].name", "spec.sampling.methods[0].params.e")
    assert not gone.sampling.methods and not left("spec.attachments[0].params.g").attachments[0].params
    for needed in ("inputs.image", "family", "model", "loras[0].name", "attachments[0].inputs.a", "params"):
        assert without(spec, [Violation(f"spec.{needed}", "")]) is None


def test_what_an_accepted_request_becomes_is_told_at_once(client: Client) -> None:
    job = client.create(family="strict", size=(128, 64), validate_only=True)
    assert (job.format.width, job.format.height, job.format.frame_count) == (128, 64, 9)
    generation = client.generate(family="strict", frames=9)
    headers = []
    for event in generation.events:
        headers += [event.header] if event.WhichOneof("event") == "header" else []
    assert [h.format.frame_count for h in headers] == [9, 9] and headers[0].seed == headers[1].seed > 0


@pytest.mark.parametrize("rule", ["raise", "crash", "allocate", "fork"])
def test_rules_that_fail_leave_the_judgement_to_the_worker(client: Client, rule: str) -> None:
    expected = [] if rule == "fork" else ["NOT_CHECKED"]
    assert warnings(client, params={"rule": rule}) == expected
    eventually(lambda: refused(client))  # the process is there again


def refused(client: Client) -> bool:
    try:
        client.create(family="strict", frames=10, validate_only=True)
    except InvalidRequest:
        return True
    except Unavailable:
        return False
    return False


def test_validating_alone_says_that_it_could_not(client: Client) -> None:
    with pytest.raises(Unavailable) as caught:
        client.create(family="strict", params={"rule": "raise"}, validate_only=True)
    assert caught.value.reason == "NOT_CHECKED" and "RuntimeError" in str(caught.value)


def test_rules_that_hang_are_not_asked_again_and_again(client: Client) -> None:
    """A call waits for them twice in a row; then they rest."""

    def told_without_asking() -> bool:
        started = time.monotonic()
        job = client.create(family="strict", params={"rule": "hang"})
        waited = time.monotonic() - started
        assert client.create(family="faulty").name and waited < 3 * 1.0 + 3
        assert [w.reason for w in waited_for(client, job.name)] == ["NOT_CHECKED"]
        return waited < 0.5

    eventually(told_without_asking, 20)
    assert warnings(client, frames=10) == ["NOT_CHECKED"]  # not asked, so not refused
    eventually(lambda: refused(client))


def waited_for(client: Client, job: str) -> list[job_pb2.Warning]:
    generation = client.watch(job)
    generation.wait()
    return generation.warnings


def refusing(limits: dict[str, Any]) -> Any:
    """Rules that refuse whichever of `limits` comes first."""

    def ask(request: Request) -> None:
        for field, taken in limits.items():
            first, _, rest = field.partition(".")
            value = getattr(request, first)
            value = value.get(rest) if rest else value
            if value is not None and value != taken:
                raise InvalidInput(field, value, f"{taken}")

    return ask


def test_a_family_s_own_small_model_needs_no_name() -> None:
    """A request without a model, live or not, is one for the model that comes with its family."""
    rules = Rules(Settings(device="cpu"), plugin_manager())
    live = {"family": "infinitetalk", "live": ["audio"], "params": {"window": 21}}
    assert rules.answer(live).format.width == 128
    told = rules.answer({"family": "multitalk", "live": ["audio"]}).problems
    assert [p.field for p in told] == ["spec.model"] and "none comes with wancore" in told[0].problem


def test_of_a_value_that_can_be_left_out_is_told_what_it_must_be() -> None:
    given = {"audio_scale": -1, "audio_type": "both", "boxes": [[0, 0, 1, 1]]}
    told = {v.field: v.problem for v in schema_violations("p", given, TalkingParameters.model_json_schema())}
    assert told == {
        "p.audio_scale": "-1 is less than the minimum of 0",
        "p.audio_type": "'both' is not one of ['para', 'add']",
        "p.boxes": "at least 2 items",
    }


def test_refusals_are_looked_for_until_there_are_no_more() -> None:
    problems: list[Violation] = []
    fields = {"frames": 8, "fps": 5.0, "params": {"a": 1, "b": 2}, "inputs": {"image": "/a/secret.png"}}
    rules = {"frames": 9, "params.a": 3, "params.b": 2, "fps": 6.0, "inputs.image": "none"}
    assert examine(fields, refusing(rules), problems) is None
    assert [p.field for p in problems] == [
        "spec.shape.frame_count", "spec.params.a", "spec.shape.frame_rate", "spec.inputs.image"
    ]  # fmt: skip
    assert not any("/" in p.problem for p in problems)


def test_an_attachment_s_refusal_names_the_attachment() -> None:
    def ask(request: Request) -> None:
        error = InvalidInput("params.scale", 1, "2")
        error.attachment = "b"
        raise error

    problems: list[Violation] = []
    fields = {"attachments": [{"name": "a"}, {"name": "b", "params": {"scale": 1}}]}
    examine(fields, ask, problems)
    assert [p.field for p in problems] == ["spec.attachments[1].params.scale"]
