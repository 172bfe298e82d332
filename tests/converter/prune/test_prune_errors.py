"""What pruning refuses: options out of range, names that are not there, models that it cannot read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxino.errors import ConvertError, InputError
from onnxino_converter.prune import effect, groups, prune, schedule, sensitivity
from onnxino_converter.quantize import quantize
from tests.converter.prune import nets
from tests.converter.prune.builder import Net
from tests.converter.prune.oracle import inputs

MODEL = nets.residual()
CHANNEL, WEIGHT, NM = {"granularity": "channel"}, {"granularity": "weight"}, {"granularity": "n:m"}
ONES = {"first.w": np.ones((8, 3, 3, 3))}
TAYLOR = {**WEIGHT, "ratio": 0.5, "criterion": "taylor"}
OPTIONS: list[tuple[dict[str, Any], str, str | None]] = [
    ({**CHANNEL, "ratio": 1.0}, "ratio is 1; expected a number from 0 up to (not including) 1", "0.5 removes one half"),
    ({**CHANNEL, "ratio": 50}, "ratio is 50; expected a number from 0 up to", "50 % is 0.5"),
    ({**CHANNEL, "ratio": -0.1}, "ratio is -0.1; expected", "0.5 removes one half"),
    ({**CHANNEL, "ratio": float("nan")}, "ratio is nan; expected a number", None),
    ({**CHANNEL, "ratio": True}, "ratio is True; expected a number", None),
    ({**CHANNEL, "ratio": "half"}, "ratio is 'half'; expected a number", None),
    (CHANNEL, "ratio is missing; granularity 'channel' needs", "ratio=0.5"),
    (WEIGHT, "ratio is missing; granularity 'weight' needs", "ratio=0.5"),
    ({**CHANNEL, "ratio": {"first": 1.5}}, "ratio of 'first' is 1.5; expected", "1.5 % is 0.015"),
    ({**WEIGHT, "ratio": {"first": 1.5}}, "ratio of 'first' is 1.5; expected", None),
    ({**CHANNEL, "ratio": {"frist": 0.5}}, "ratio: the model has no layer 'frist'", "did you mean 'first'?"),
    ({**WEIGHT, "ratio": {"frist": 0.5}}, "ratio: the model has no layer 'frist'", "did you mean 'first'?"),
    ({**CHANNEL, "ratio": {"zzz": 0.5}}, "ratio: the model has no layer 'zzz'", "the layers are: first, inner"),
    ({**CHANNEL, "ratio": 0.5, "exclude": ["oter"]}, "exclude: the model has no layer 'oter'", "did you mean 'outer'?"),
    ({**WEIGHT, "ratio": 0.5, "exclude": ["oter"]}, "exclude: the model has no layer 'oter'", "did you mean 'outer'?"),
    ({**NM, "exclude": ["oter"]}, "exclude: the model has no layer 'oter'", "did you mean 'outer'?"),
    (
        {**CHANNEL, "ratio": 0.5, "exclude": "first"},
        "exclude is the text 'first'; expected a list",
        "exclude=['first']",
    ),
    (
        {**CHANNEL, "ratio": {"first": 0.5, "outer": 0.25}},
        "ratio: 'first': 0.5, 'outer': 0.25 differ, but these layers lose the same channels",
        "give one ratio for all of them: 'first'",
    ),
    ({**WEIGHT, "ratio": {"first": 0.5, "first.w": 0.2}}, "several are given for the weights 'first.w'", None),
    ({**CHANNEL, "ratio": {"first": 0.5}, "scope": "global"}, "ratio is given for each layer, and scope is", "or one"),
    ({"granularity": "filter", "ratio": 0.5}, "granularity is 'filter'; expected one of channel, weight, n:m", None),
    (
        {**CHANNEL, "ratio": 0.5, "criterion": "l3"},
        "criterion is 'l3'; expected one of l1, l2, l1-next, bn, taylor",
        None,
    ),
    ({**CHANNEL, "ratio": 0.5, "scope": "all"}, "scope is 'all'; expected one of global, layer", None),
    ({**CHANNEL, "ratio": 0.5, "multiple": 0}, "multiple is 0; expected a whole number from 1", None),
    ({**CHANNEL, "ratio": 0.5, "multiple": 2.0}, "multiple is 2.0; expected a whole number from 1", None),
    ({**WEIGHT, "ratio": 0.5, "multiple": 4}, "multiple is 4, which is for channels", None),
    ({**WEIGHT, "ratio": 0.5, "criterion": "bn"}, "criterion 'bn' ranks channels", "criterion='l1'"),
    ({**NM, "criterion": "l1-next"}, "criterion 'l1-next' ranks channels", "criterion='l1'"),
    ({**NM, "nm": (4, 4)}, "nm is 4:4; expected N of each M", "nm=(2, 4)"),
    ({**NM, "nm": (0, 4)}, "nm is 0:4; expected N of each M", "nm=(2, 4)"),
    ({**NM, "nm": "2:4"}, "nm is '2:4'; expected two whole numbers", None),
    ({**NM, "nm": (2, 4, 8)}, "nm is (2, 4, 8); expected two whole numbers", None),
    ({**NM, "ratio": 0.3}, "ratio is 0.3, but 2:4 removes 0.5", "leave ratio out"),
    (TAYLOR, "criterion 'taylor' needs scores", "taylor_scores"),
    ({**CHANNEL, "ratio": 0.5, "scores": ONES}, "scores are given, and criterion 'l1' does not use them", "taylor"),
    (
        {**TAYLOR, "scores": ONES},
        "scores: none for the weights 'inner.w' of shape [6, 8, 3, 3]; given: first.w",
        "taylor",
    ),
    ({**TAYLOR, **CHANNEL, "scores": {}}, "scores: none for the weights 'first.w'", "taylor_scores"),
    (
        {**TAYLOR, "scores": {"first.w": np.ones(8)}},
        "those of 'first.w' have the shape [8]; expected [8, 3, 3, 3]",
        None,
    ),
    ({**TAYLOR, "scores": {"first.w": ONES["first.w"] * np.nan}}, "'first.w' are not all finite numbers", None),
]


def check(error: Any, message: str, hint: str | None) -> None:
    assert message in error.value.message
    assert (hint or "") in (error.value.hint or "")


@pytest.mark.parametrize(("options", "message", "hint"), OPTIONS, ids=[str(k) for k in range(len(OPTIONS))])
def test_options(options: dict[str, Any], message: str, hint: str | None) -> None:
    with pytest.raises(InputError) as error:
        prune(MODEL, **options)
    check(error, message, hint)


def quantized() -> Any:
    return quantize(nets.plain("Relu"), inputs(nets.plain("Relu"), 8))


def dynamic() -> Any:
    model = nets.plain("Relu")
    model.graph.node.append(helper.make_node("DynamicQuantizeLinear", ["u0"], ["q", "s", "z"], name="dynamic"))
    return model


def conditional() -> Any:
    model = nets.plain("Relu")
    branch = helper.make_graph([helper.make_node("Identity", ["u0"], ["b"])], "branch", [], [])
    node = helper.make_node("If", ["c"], ["out"], name="choice", then_branch=branch, else_branch=branch)
    model.graph.node.append(node)
    return model


def contradicting() -> Any:
    model = nets.plain("Relu")
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 7
    return model


def no_opset() -> Any:
    model = nets.plain("Relu")
    del model.opset_import[:]
    return model


def infinite() -> Any:
    b = Net()
    b.conv("y", b.conv("first", "x", (8, 3, 3, 3)), (4, 8, 1, 1))
    b.constants["first.w"][0] = np.inf
    return b.model()


MODELS = {
    "quantized": (
        quantized,
        "the model is quantized already; pruning takes models in float32",
        "prune the float model",
    ),
    "dynamically": (dynamic, "node 'dynamic' (DynamicQuantizeLinear): the model is quantized already", "float model"),
    "If": (conditional, "node 'choice' (If): control flow", "torch.onnx.export"),
    "contradicting": (
        contradicting,
        "tensor 'y' is said to have 7 channels; its weights make 4",
        "onnx.checker.check_model",
    ),
    "no opset": (
        no_opset,
        "the given model: the shapes of its tensors cannot be inferred (",
        "onnx.checker.check_model",
    ),
    "infinite": (infinite, "27 of 216 values of the initializer 'first.w' are not finite", "diverged"),
    "no file": (lambda: Path("missing.onnx"), "missing.onnx: no such file", None),
    "no model": (lambda: b"", "the given bytes: the file is empty", None),
}


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str) -> None:
    make, message, hint = MODELS[name]
    for act in (lambda model: prune(model, granularity="channel", ratio=0.5), groups, effect):
        if act is effect and name == "contradicting":
            continue  # it counts what the weights make
        with pytest.raises(ConvertError) as error:
            act(make())
        check(error, message, hint)


def test_paths_and_bytes_are_taken_too(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(MODEL.SerializeToString())
    given: list[Any] = [path, str(path), path.read_bytes(), MODEL]
    results = [prune(model, granularity="channel", ratio=0.5).model.SerializeToString() for model in given]
    assert len(set(results)) == 1


def test_operations_of_unknown_size_are_not_counted() -> None:
    b = Net()
    b.conv("y", b.conv("first", "x", (8, 3, 3, 3)), (4, 8, 1, 1))
    model = b.model()
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "size"
    for dim in model.graph.output[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "other"
    with pytest.raises(ConvertError) as error:
        effect(model)
    check(error, "node 'first' (Conv): the shape of 'first' is not known", "fixed input shape")


SCHEDULES: list[tuple[tuple[Any, ...], str]] = [
    (("linear", 0.5, 3), "schedule is 'linear'; expected one of one-shot, iterative, polynomial"),
    (("iterative", 1.5, 3), "ratio is 1.5; expected"),
    (("iterative", 0.5, 0), "steps is 0; expected a whole number from 1"),
    (("polynomial", 0.5, 2.5), "steps is 2.5; expected a whole number from 1"),
    (("one-shot", 0.5, 2), "steps is 2, but one-shot takes one step"),
]


@pytest.mark.parametrize(("arguments", "message"), SCHEDULES)
def test_schedules(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError) as error:
        schedule(*arguments)
    check(error, message, None)


SENSITIVITIES: list[tuple[dict[str, Any], str]] = [
    ({"granularity": "n:m"}, "N:M has no ratio to vary"),
    ({"ratios": ()}, "ratios hold nothing above 0"),
    ({"ratios": (0.5, 1.0)}, "ratio is 1; expected"),
    ({"exclude": ["oter"]}, "exclude: the model has no layer 'oter'"),
    ({"evaluate": lambda model: float("nan")}, "the evaluation gave nan; expected a finite number"),
]


@pytest.mark.parametrize(("options", "message"), SENSITIVITIES)
def test_sensitivity(options: dict[str, Any], message: str) -> None:
    evaluate = options.pop("evaluate", lambda model: 0.5)
    with pytest.raises(InputError) as error:
        sensitivity(MODEL, evaluate, **options)
    check(error, message, None)


@pytest.mark.parametrize("drop", [-0.1, float("nan"), float("inf")])
def test_drops_that_cannot_be_allowed(drop: float) -> None:
    found = sensitivity(MODEL, lambda model: 0.5, ratios=(0.5,))
    with pytest.raises(InputError) as error:
        found.propose(drop)
    check(error, "expected a number from 0", None)
