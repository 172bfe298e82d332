"""Single weights and N:M: what becomes zero, and the masks that say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from onnxino_converter.prune import effect, prune
from tests.converter.prune import nets_moved
from tests.converter.prune.builder import Net
from tests.converter.prune.oracle import constants, inputs, run


def small() -> Net:
    """Two layers of 108 and 32 weights; the second's are ten times larger."""
    b = Net()
    b.conv("y", b.op("Relu", "r", b.conv("first", "x", (4, 3, 3, 3))), (8, 4, 1, 1))
    b.constants["y.w"] *= 10
    return b


def test_per_layer_the_smallest_go() -> None:
    model = small().model()
    result = prune(model, granularity="weight", ratio=0.25)
    onnx.checker.check_model(result.model, full_check=True)
    before, after = constants(model), constants(result.model)
    assert set(result.masks) == {"first.w", "y.w"}
    for name, gone in {"first.w": 27, "y.w": 8}.items():
        mask, weights = result.masks[name], before[name]
        assert mask.dtype == np.bool_
        assert mask.shape == weights.shape
        assert np.count_nonzero(~mask) == gone
        assert np.abs(weights[~mask]).max() <= np.abs(weights[mask]).min()
        assert np.array_equal(after[name], np.where(mask, weights, 0))
    assert np.array_equal(before["first.b"], after["first.b"])
    assert [(c.name, c.before, c.after, c.unit) for c in result.changes] == [
        ("first", 108, 81, "weights"),
        ("y", 32, 24, "weights"),
    ]
    assert effect(result.model)["nonzero"] == effect(model)["nonzero"] - 35
    assert effect(result.model)["macs"] == effect(model)["macs"]
    assert run(result.model, inputs(model))[0].shape == (2, 8, 6, 6)


def test_globally_the_smallest_of_all_go() -> None:
    model = small().model()
    result = prune(model, granularity="weight", ratio=0.5, scope="global")
    before = constants(model)
    everything = np.concatenate([np.abs(before[name]).ravel() for name in result.masks])
    kept = np.concatenate([mask.ravel() for mask in result.masks.values()])
    assert np.count_nonzero(~kept) == 70
    assert everything[~kept].max() <= everything[kept].min()
    assert np.count_nonzero(~result.masks["first.w"]) > 60


@pytest.mark.parametrize("ratio", [0.0, 0.001, 0.5, 0.99])
@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_the_share_is_exact_also_among_equals(ratio: float, criterion: Any) -> None:
    b = small()
    b.constants["first.w"][:] = 1
    result = prune(b.model(), granularity="weight", ratio=ratio, criterion=criterion)
    assert np.count_nonzero(~result.masks["first.w"]) == round(108 * ratio)


def test_by_scores() -> None:
    b = small()
    scores: dict[str, Any] = {name: np.zeros(b.constants[name].shape) for name in ("first.w", "y.w")}
    scores["first.w"].flat[:54] = 1
    scores["y.w"].flat[16:] = 1
    result = prune(b.model(), granularity="weight", ratio=0.5, criterion="taylor", scores=scores)
    assert all(np.array_equal(result.masks[name], scores[name] == 1) for name in scores)


def test_ratios_of_single_layers_and_exclude() -> None:
    model = small().model()
    result = prune(model, granularity="weight", ratio={"first": 0.5})
    assert {name: int((~mask).sum()) for name, mask in result.masks.items()} == {"first.w": 54, "y.w": 0}
    result = prune(model, granularity="weight", ratio={"y.w": 0.25})
    assert {name: int((~mask).sum()) for name, mask in result.masks.items()} == {"first.w": 0, "y.w": 8}
    result = prune(model, granularity="weight", ratio=0.5, exclude=["first"])
    assert set(result.masks) == {"y.w"}
    assert [(s.node, s.reason) for s in result.skipped] == [("first", "the layer 'first' is excluded")]


def test_what_is_zero_stays_zero() -> None:
    """So that steps of a schedule add up."""
    model = small().model()
    first = prune(model, granularity="weight", ratio=0.3)
    second = prune(first.model, granularity="weight", ratio=0.6)
    assert all((first.masks[name] >= second.masks[name]).all() for name in first.masks)


@pytest.mark.parametrize("transposed", [True, False])
@pytest.mark.parametrize("nm", [(2, 4), (1, 4), (1, 2), (3, 8)])
def test_n_of_m_along_the_inputs(nm: tuple[int, int], transposed: bool) -> None:
    b = Net()
    x = b.conv("first", "x", (16, 3, 3, 3))
    x = b.conv("second", x, (8, 16, 3, 3))
    b.gemm("y", b.op("Flatten", "f", b.op("GlobalAveragePool", "g", x)), 8, 5, transposed)
    model = b.model()
    result = prune(model, granularity="n:m", nm=nm)
    before, after = constants(model), constants(result.model)
    n, m = nm
    for name, axis in {"second.w": 1, "y.w": 1 if transposed else 0}.items():
        mask = result.masks[name]
        blocks = np.moveaxis(mask, axis, -1).reshape(-1, m)
        assert (blocks.sum(axis=1) == n).all()
        values = np.moveaxis(np.abs(before[name]), axis, -1).reshape(-1, m)
        assert (np.where(blocks, values, np.inf).min(axis=1) >= np.where(blocks, -np.inf, values).max(axis=1)).all()
        assert np.array_equal(after[name], np.where(mask, before[name], 0))
    assert [(s.node, s.reason) for s in result.skipped] == [
        ("first", f"it reads 3 inputs, which are no multiple of {m}")
    ]


def test_n_of_m_of_matmul_and_depthwise() -> None:
    b = Net()
    x = b.conv("deep", b.conv("first", "x", (8, 3, 1, 1)), (8, 1, 3, 3), group=8)
    x = b.op("Flatten", "f", b.op("GlobalAveragePool", "g", x))
    b.op("MatMul", "y", x, b.const("y.w", 8, 5))
    result = prune(b.model(), granularity="n:m")
    assert list(result.masks) == ["y.w"]
    assert (result.masks["y.w"].reshape(2, 4, 5).sum(axis=1) == 2).all()
    assert {s.node for s in result.skipped} == {"first", "deep"}


def test_shared_and_computed_weights() -> None:
    result = prune(nets_moved.shared_weights(), granularity="weight", ratio=0.5)
    assert [c.name for c in result.changes] == ["first", "again", "twice", "y"]
    assert set(result.masks) == {"first.w", "again.w", "y.w"}
    b = Net()
    w = b.op("Reshape", "w", b.op("GlobalAveragePool", "g", "x"), b.ints("s", 3, 1, 1, 1))
    b.op("Mul", "product", b.const("v.w", 4, 3, 1, 1), b.op("ReduceMean", "all", "x", keepdims=0))
    b.op("Conv", "v", b.op("Conv", "dynamic", "x", w, group=3), "v.w")
    b.op("Conv", "y", "v", b.const("y.w", 4, 4, 1, 1))
    result = prune(b.model(batch=1, outputs=("y", "product")), granularity="weight", ratio=0.5)
    assert {s.node: s.reason for s in result.skipped} == {
        "dynamic": "its weights are computed while it runs",
        "v": "another kind of node reads its weights 'v.w' as well",
    }
