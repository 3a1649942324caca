import torch
from torch import Tensor

from tests.sampling.steps import step_at
from wancore.sampling.guidance import UNGUIDED, Direction, Guidance, classifier_free
from wancore.sampling.guided import Guided, Pass, surrounded
from wancore.sampling.method import Method
from wancore.transformer.runblocks import run_blocks

X = torch.arange(4.0).view(1, 1, 2, 2)


class Recorder:
    def __init__(self) -> None:
        self.asked: list[Pass] = []

    def __call__(self, x: Tensor, asked: Pass) -> Tensor:
        self.asked.append(asked)
        return x * (2 if asked.call.name == "positive" else 1)


class Named(Method):
    """Adds `amount` to what is inside, at every point around something."""

    def __init__(self, amount: float) -> None:
        self.amount = amount

    def around_pass(self, call, predict, x):
        return predict(x) * 10 + self.amount

    def around_blocks(self, call, blocks, x, e, e0):
        return blocks(x) * 10 + self.amount

    def around_velocity(self, predict, x, step):
        return predict(x) * 10 + self.amount


def test_passes_are_asked_with_their_variants():
    predict = Recorder()
    velocity = Guided(predict, classifier_free(3.0), window=4, expert=lambda step: "low")(X, step_at(2))
    torch.testing.assert_close(velocity, X + 3 * X)
    assert [a.call.key for a in predict.asked] == [("positive", 4, "low"), ("negative", 4, "low")]
    assert [dict(a.variants) for a in predict.asked] == [{"text": "positive"}, {"text": "negative"}]
    assert all(a.run is run_blocks and not a.skip and not a.data for a in predict.asked)


def test_later_methods_are_outside_earlier_ones():
    first, second = Named(1), Named(2)
    predict = Recorder()
    guided = Guided(predict, UNGUIDED, (first, second))
    torch.testing.assert_close(guided(X, step_at()), (2 * X * 10 + 1) * 10 + 2)
    ran = predict.asked[0].run(lambda x: x, X, X, X)
    torch.testing.assert_close(ran, (X * 10 + 1) * 10 + 2)
    outer = surrounded(lambda x, step: x, (first, second))
    torch.testing.assert_close(outer(X, step_at()), (X * 10 + 1) * 10 + 2)


def test_a_velocity_without_methods_around_it_stays_itself():
    velocity = Guided(Recorder(), UNGUIDED)
    assert surrounded(velocity, [Method()]) is velocity


def test_passes_are_predicted_together_unless_a_method_acts_around_them():
    calls = []

    def together(x, passes):
        calls.append([p.call.name for p in passes])
        return [x * 2, x]

    alone = Recorder()
    velocity = Guided(alone, classifier_free(3.0), together=together)(X, step_at())
    torch.testing.assert_close(velocity, X + 3 * X)
    assert calls == [["positive", "negative"]] and not alone.asked
    Guided(alone, classifier_free(3.0), (Named(0),), together=together)(X, step_at())
    assert len(calls) == 1 and len(alone.asked) == 2


def test_contributions_of_methods_are_collected():
    class Skips(Method):
        def __init__(self, block):
            self.block = block

        def skip_blocks(self, call):
            return frozenset({self.block})

        def data(self, call):
            return {f"slot{self.block}": call.name}

        def layout(self, call, layout):
            return (*layout, self.block)

    predict = Recorder()
    Guided(predict, UNGUIDED, (Skips(1), Skips(3)))(X, step_at())
    (asked,) = predict.asked
    assert asked.skip == {1, 3}
    assert asked.data == {"slot1": "positive", "slot3": "positive"}
    assert asked.layout(()) == (1, 3)


def test_filters_keep_their_state_for_one_run_and_expert():
    made = []

    def counter():
        seen = []
        made.append(seen)

        def count(difference, base):
            seen.append(difference)
            return difference * len(seen)

        return count

    guidance = Guidance(
        "negative", (Direction(1.0, "positive", "negative", counter),), {"positive": {}, "negative": {}}
    )
    velocity = Guided(Recorder(), guidance, expert=lambda step: "high" if step.index < 2 else "low")
    runs = [[float(velocity(X, step_at(i))[0, 0, 0, 1]) for i in range(3)] for _ in range(2)]
    assert runs == [[2.0, 3.0, 2.0]] * 2
    assert len(made) == 4
