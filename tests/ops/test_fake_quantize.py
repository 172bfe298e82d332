"""FakeQuantize against ONNX Runtime's QuantizeLinear and DequantizeLinear in 8 and 16 bits, bit for bit."""

from __future__ import annotations

from typing import Any

import float_cases as fc
import numpy as np
import op_cases as oc
import pytest
from model_builder import single
from numpy.typing import NDArray

from onnxino.schema.model import ElementType, FakeQuantize

f32 = np.float32


def kernel(scale: Any, zero_point: Any, dtype: type[np.integer[Any]], axis: int = 0) -> FakeQuantize:
    limits = np.iinfo(dtype)
    zero = np.atleast_1d(np.asarray(zero_point, np.int64))
    return FakeQuantize(
        scale=np.atleast_1d(np.asarray(scale, f32)),
        minimum=(limits.min - zero).astype(f32),
        maximum=(limits.max - zero).astype(f32),
        axis=axis,
    )


def expected(x: oc.Floats, scale: Any, zero_point: Any, dtype: type[np.integer[Any]], axis: int) -> NDArray[Any]:
    options = {"axis": axis} if np.ndim(scale) else {}
    constants = [np.asarray(scale, f32), np.asarray(zero_point, dtype)]
    q = oc.ort("QuantizeLinear", [None, *constants], {0: x}, opset=21, output=dtype, **options)
    return oc.ort("DequantizeLinear", [None, *constants], {0: q}, opset=21, output=f32, **options)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("scale", [0.1, 1e-4, 1 / 3, 1e-38, 1e33])
def test_equals_onnx_runtime(dtype: type[np.integer[Any]], scale: float, backend: str) -> None:
    limits = np.iinfo(dtype)
    halves = (np.arange(-700, 700).astype(f32) / f32(2)) * f32(scale)
    wide = np.random.default_rng(1).uniform(-70000, 70000, 3000).astype(f32) * f32(scale)
    x = np.concatenate([halves, wide, fc.patterns(2, 2000)])
    x = x[np.isfinite(x)]
    for zero_point in (limits.min, limits.max, (limits.min + limits.max + 1) // 2):
        found = oc.run_raw(backend, kernel(scale, zero_point, dtype), [x], x.shape)
        assert oc.same_bits(found, expected(x, scale, zero_point, dtype, 0))


@pytest.mark.parametrize("axis", range(3))
def test_a_scale_for_each_channel(axis: int, backend: str) -> None:
    shape = (3, 4, 5)
    x = fc.values(1, shape) * f32(10)
    scale = np.random.default_rng(2).uniform(0.01, 0.2, shape[axis]).astype(f32)
    zero = np.arange(-3, shape[axis] - 3)
    found = oc.run_raw(backend, kernel(scale, zero, np.int8, axis), [x], shape)
    assert oc.same_bits(found, expected(x, scale, zero, np.int8, axis))
    assert len(np.unique(found)) > 20


def test_infinities_and_nan(backend: str) -> None:
    x = np.array([np.inf, -np.inf, np.nan, -0.0, -0.01, 0.01], f32)
    found = oc.run_raw(backend, kernel(0.5, 10, np.int16), [x], x.shape)
    zero = f32(0.0)
    limits = [f32(32757) * f32(0.5), f32(-32778) * f32(0.5), f32(-32778) * f32(0.5)]
    assert oc.same_bits(found, np.array([*limits, zero, zero, zero], f32))


def test_one_scale_with_limits_for_each_channel(backend: str) -> None:
    low, high = np.array([-5, 0, 2], f32), np.array([5, 1, 2], f32)
    k = FakeQuantize(scale=np.array([2.0], f32), minimum=low, maximum=high, axis=1)
    x = np.array([[-100, -100, -100], [3, 3, 3], [100, 100, 100]], f32)
    found = oc.run_raw(backend, k, [x], x.shape)
    assert found.tolist() == [[-10, 0, 4], [4, 2, 4], [10, 2, 4]]


def test_backends_agree_on_a_million_values(c_backend_missing: str | None) -> None:
    if c_backend_missing:
        pytest.skip(c_backend_missing)
    x = fc.patterns(3, 1 << 20)
    for scale in (1e-3, 1e20):
        runs = [oc.run_raw(name, kernel(scale, 1000, np.uint16), [x], x.shape) for name in ("numpy", "c")]
        assert oc.same_bits(*runs)


def with_(**fields: Any) -> FakeQuantize:
    values: dict[str, Any] = {"scale": [1.0], "minimum": [-2.0], "maximum": [2.0]} | fields
    axis = values.pop("axis", 0)
    return FakeQuantize(axis=axis, **{name: np.array(value, f32) for name, value in values.items()})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (with_(axis=2), "axis is 2, expected less than 2"),
        (with_(scale=[1.0, 1.0]), "scale has 2 values, expected 1 or 4"),
        (with_(minimum=[-1.0] * 3), "minimum has 3 values, expected 1 or 4"),
        (with_(maximum=[np.inf]), "maximum holds a value that is not finite"),
        (with_(scale=[0.0]), "scale holds a value that is not above 0"),
        (with_(minimum=[-0.5]), "minimum and maximum hold values that are not whole"),
        (with_(maximum=[-3.0]), "a minimum is above its maximum"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_both_runtimes_refuse(wrong: FakeQuantize, message: str, c_backend_missing: str | None) -> None:
    model = single(wrong, [[4, 5]], [4, 5], [ElementType.Float32], ElementType.Float32)
    fc.assert_refused(model, message, c_backend_missing)
