"""InferenceSession: names, layouts, types and shapes as ONNX Runtime has them, and what it answers to wrong input."""

from __future__ import annotations

import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import model_builder as mb
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from onnxino import InferenceSession, InputError, ModelError, OnnxinoError, RunResult, load_model
from onnxino.schema.codec import encode
from onnxino.schema.model import Conv2D, ElementType, Lookup, Mean2D, Model, Operator, Port, Take, WeightLayout
from onnxino_converter import convert

UINT8, FLOAT, INT8 = ElementType.UInt8, ElementType.Float32, ElementType.Int8


def perm(*order: int) -> NDArray[np.uint8]:
    return np.array(order, np.uint8)


def operator(name: str, kernel: Any, source: int, target: int) -> Operator:
    return Operator(
        name=name, kernel=kernel, inputs=np.array([source], np.uint32), outputs=np.array([target], np.uint32)
    )


def network(kind: ElementType = INT8, batch: int = -1, scale: float = 0.02, zero_point: int = -3) -> Model:
    """ONNX NCHW [batch, 2, 4, 5] -> Conv 1x1 -> Lookup (negation) -> flatten [batch, 60]; device NHWC."""
    w = np.arange(-3, 3, dtype=np.int8).reshape(3, 2)
    conv = Conv2D(
        window=mb.window((1, 1)),
        weights=mb.weights(WeightLayout.OHWI, w),
        bias=np.array([0, 100, -100], np.int32),
        requantization=mb.requantization(0.25, 1),
    )
    negate = Lookup(table=np.clip(-np.arange(-128, 128), -128, 127).astype(np.int8))
    nchw = perm(0, 2, 3, 1)
    quantization: dict[str, Any] = {"scale": scale, "zero_point": zero_point}
    onnx_type = UINT8 if kind == UINT8 else INT8
    symbolic = {"dimension_names": ["N", "", "", ""]} if batch == -1 else {}
    return Model(
        name="network",
        tensors=[
            mb.tensor("image", [1, 4, 5, 2], 0, perm=nchw, onnx_type=onnx_type, **quantization),
            mb.tensor("conv", [1, 4, 5, 3], 48, perm=nchw, onnx_type=onnx_type),
            mb.tensor("negated", [1, 4, 5, 3], 112, perm=nchw, onnx_type=onnx_type, **quantization),
        ],
        operators=[operator("conv", conv, 0, 1), operator("negate", negate, 1, 2)],
        inputs=[mb.port("image", 0, [batch, 2, 4, 5], kind, perm=nchw, **symbolic)],
        outputs=[mb.port("y", 2, [batch, 3, 4, 5], kind, perm=nchw, **symbolic)],
        arena_size=172,
        provenance=mb.provenance(),
    )


def expected(x: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """conv and negated in NCHW, in int64 and float32 by the book."""
    w = np.arange(-3, 3).reshape(3, 2)
    total = np.einsum("nchw,mc->nmhw", x.astype(np.int64), w) + np.array([0, 100, -100])[:, None, None]
    conv = np.clip(np.rint(total.astype(np.float32) * np.float32(0.25)) + 1, -128, 127).astype(np.int8)
    return conv, np.clip(-conv.astype(int), -128, 127).astype(np.int8)


def images(batch: int = 3) -> NDArray[np.int8]:
    return np.random.default_rng(1).integers(-128, 128, (batch, 2, 4, 5)).astype(np.int8)


# ------------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_int8_in_onnx_layout(batch: int, backend: str) -> None:
    x = images(batch)
    with InferenceSession(encode(network()), backend=backend) as session:
        (y,) = session.run(None, {"image": x})
    assert y.dtype == np.int8
    assert y.flags.c_contiguous
    assert np.array_equal(y, expected(x)[1])


def test_uint8_is_int8_plus_128(backend: str) -> None:
    x = images()
    with InferenceSession(encode(network(UINT8)), backend=backend) as session:
        (y,) = session.run(["y"], {"image": (x.astype(int) + 128).astype(np.uint8)})
    assert y.dtype == np.uint8
    assert np.array_equal(y.astype(int) - 128, expected(x)[1])


def test_float_ports_quantize_and_dequantize(backend: str) -> None:
    """Reals that quantize to given bytes, with everything beyond saturated; the result is (q - zero_point) * scale."""
    scale, zero_point = np.float32(0.02), -3
    x = images()
    real = ((x.astype(np.int32) - zero_point).astype(np.float32) + np.float32(0.4)) * scale
    real[0, 0, 0, :2] = 1e9, -np.inf
    x[0, 0, 0, :2] = 127, -128
    with InferenceSession(encode(network(FLOAT)), backend=backend) as session:
        (y,) = session.run(None, {"image": real})
    assert y.dtype == np.float32
    assert np.array_equal(y, (expected(x)[1].astype(np.int32) - zero_point).astype(np.float32) * scale)


@pytest.mark.parametrize("kind", [INT8, UINT8])
def test_intermediates(kind: ElementType, backend: str) -> None:
    """Every tensor in ONNX's layout and type, under its ONNX name."""
    x = images()
    conv, negated = expected(x)
    feed = x if kind == INT8 else (x.astype(int) + 128).astype(np.uint8)
    with InferenceSession(encode(network(kind)), backend=backend) as session:
        result = session.run(None, {"image": feed}, intermediates=True)
    assert isinstance(result, RunResult)
    shift = 128 if kind == UINT8 else 0
    assert list(result.intermediates) == ["image", "conv", "negated"]
    for name, wanted in (("image", x), ("conv", conv), ("negated", negated)):
        found = result.intermediates[name]
        assert found.dtype == feed.dtype
        assert np.array_equal(found.astype(int) - shift, wanted)
    assert np.array_equal(result.outputs[0], result.intermediates["negated"])


def test_a_fixed_batch_of_one_takes_more(backend: str) -> None:
    x = images(4)
    with InferenceSession(encode(network(batch=1)), backend=backend) as session:
        assert session.get_inputs()[0].shape == [1, 2, 4, 5]
        assert np.array_equal(session.run(None, {"image": x})[0], expected(x)[1])


def test_a_reshaped_output_and_a_fixed_batch(backend: str) -> None:
    """A port whose shape is another than its tensor's: [2, 1, 1, 4] on the device, [4, 2] in ONNX; and N = 2 images."""
    model = mb.single(Mean2D(requantization=mb.requantization(0.1, 0)), [[2, 3, 3, 4]], [2, 1, 1, 4])
    model.outputs = [mb.port("y", 1, [4, 2])]
    x = np.random.default_rng(2).integers(-128, 128, (2, 3, 3, 4)).astype(np.int8)
    wanted = np.rint(x.astype(np.int64).sum(axis=(1, 2)).astype(np.float32) * np.float32(0.1)).clip(-128, 127)
    with InferenceSession(encode(model), backend=backend) as session:
        assert np.array_equal(session.run(None, {"x0": x})[0], wanted.reshape(4, 2))
        with pytest.raises(InputError, match=r"shape \[1, 3, 3, 4\], expected \[2, 3, 3, 4\]"):
            session.run(None, {"x0": x[:1]})


def test_chosen_outputs_in_the_asked_order(backend: str) -> None:
    model = network()
    model.outputs.insert(0, mb.port("c", 1, [-1, 3, 4, 5], perm=perm(0, 2, 3, 1)))
    x = images()
    conv, negated = expected(x)
    with InferenceSession(encode(model), backend=backend) as session:
        assert [o.name for o in session.get_outputs()] == ["c", "y"]
        for names, wanted in ((None, [conv, negated]), (["y", "c"], [negated, conv]), (["c"], [conv])):
            found = session.run(names, {"image": x})
            assert len(found) == len(wanted)
            assert all(np.array_equal(f, w) for f, w in zip(found, wanted, strict=True))


def test_an_output_listed_twice_comes_twice(backend: str) -> None:
    model = network()
    model.outputs.append(model.outputs[0])
    x = images()
    with InferenceSession(encode(model), backend=backend) as session:
        assert [o.name for o in session.get_outputs()] == ["y", "y"]
        found = session.run(None, {"image": x})
    assert len(found) == 2
    assert all(np.array_equal(f, expected(x)[1]) for f in found)


def test_what_a_device_is_given(backend: str) -> None:
    """to_device and from_device are the two halves of run."""
    x = images()
    with InferenceSession(encode(network(UINT8)), backend=backend) as session:
        feeds = {"image": (x.astype(int) + 128).astype(np.uint8)}
        (given,) = session.to_device(feeds)
        assert given.dtype == np.int8
        assert np.array_equal(given, x.transpose(0, 2, 3, 1)[:, None])
        outputs = session.from_device(session.backend.run([given]))
        assert np.array_equal(outputs[0], session.run(None, feeds)[0])


def test_an_input_may_be_an_output(backend: str) -> None:
    """Nothing between: the output is the input's tensor."""
    model = network()
    model.outputs.append(mb.port("same", 0, [-1, 2, 4, 5], perm=perm(0, 2, 3, 1)))
    model.tensors[1].offset, model.tensors[2].offset = 48, 112
    x = images(2)
    with InferenceSession(encode(model), backend=backend) as session:
        assert np.array_equal(session.run(["same"], {"image": x})[0], x)


# ------------------------------------------------------------------------------------------------- description


@pytest.mark.parametrize(("kind", "text"), [(INT8, "tensor(int8)"), (UINT8, "tensor(uint8)"), (FLOAT, "tensor(float)")])
def test_inputs_and_outputs_as_onnx_runtime_tells_them(kind: ElementType, text: str) -> None:
    types = {INT8: TensorProto.INT8, UINT8: TensorProto.UINT8, FLOAT: TensorProto.FLOAT}
    value = helper.make_tensor_value_info("image", types[kind], ["N", 2, 4, 5])
    result = helper.make_tensor_value_info("y", types[kind], ["N", 2, 4, 5])
    graph = helper.make_graph([helper.make_node("Identity", ["image"], ["y"])], "g", [value], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    theirs = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ours = InferenceSession(encode(network(kind)))
    found, wanted = ours.get_inputs()[0], theirs.get_inputs()[0]
    assert (found.name, found.shape, found.type) == (wanted.name, wanted.shape, wanted.type)
    assert ours.get_outputs()[0].type == text


def test_repr_names_model_backend_and_ports() -> None:
    assert repr(InferenceSession(encode(network()))) == (
        "InferenceSession of 'network' on numpy\n"
        "  input  image: tensor(int8) ['N', 2, 4, 5]\n"
        "  output y: tensor(int8) ['N', 3, 4, 5]"
    )


def test_cycles_are_not_known_here(backend: str) -> None:
    with InferenceSession(encode(network()), backend=backend) as session:
        session.run(None, {"image": images()})
        assert session.cycles is None


# ------------------------------------------------------------------------------------------------- mistakes


MISTAKES: dict[str, tuple[Any, Any, str, str | None]] = {
    "unknown output": (["z"], {"image": images()}, "there is no output 'z'", "the model has 'y'"),
    "unknown input": (None, {"image": images(), "b": 1}, "there is no input 'b'", "the model has 'image'"),
    "no input": (None, {}, "input 'image' is missing", "the model has 'image'"),
    "float for int8": (
        None,
        {"image": images().astype(np.float32)},
        "input 'image' is float32, expected int8 (tensor(int8))",
        None,
    ),
    "uint8 for int8": (None, {"image": images().view(np.uint8)}, "input 'image' is uint8, expected int8", None),
    "no array": (None, {"image": "x"}, "input 'image' is <U1, expected int8", None),
    "NHWC for NCHW": (
        None,
        {"image": images().transpose(0, 2, 3, 1)},
        "input 'image' has shape [3, 4, 5, 2], expected ['N', 2, 4, 5]",
        "the axes are in another order: array.transpose(0, 3, 1, 2)",
    ),
    "HWC for NCHW": (
        None,
        {"image": images()[0].transpose(1, 2, 0)},
        "input 'image' has shape [4, 5, 2], expected ['N', 2, 4, 5]",
        "array.transpose(2, 0, 1)[np.newaxis]",
    ),
    "other sizes": (None, {"image": images()[:, :, 1:]}, "has shape [3, 2, 3, 5]", "the first dimension is the batch"),
    "one sample": (None, {"image": images()[0]}, "shape [2, 4, 5], expected ['N', 2, 4, 5]", "array[np.newaxis]"),
    "empty batch": (None, {"image": images()[:0]}, "shape [0, 2, 4, 5], expected ['N', 2, 4, 5]", "1 or more"),
    "an array for feeds": (None, images(), "feeds must be a dict {'image': array}, found ndarray", "{'image': array}"),
    "a text for names": ("y", {"image": images()}, "output_names is the text 'y', expected a list", "['y']"),
    "feeds for names": ({"image": 1}, None, "output_names is of type dict, expected a list", "all outputs"),
    "too many dimensions": (None, {"image": images()[None]}, "shape [1, 3, 2, 4, 5]", "batch"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told(name: str) -> None:
    names, feeds, message, hint = MISTAKES[name]
    session = InferenceSession(encode(network()))
    with pytest.raises(InputError) as error:
        session.run(names, feeds)
    assert message in error.value.message
    assert hint is None or hint in (error.value.hint or "")


def test_a_traceback_shows_the_hint() -> None:
    with pytest.raises(InputError) as error:
        InferenceSession(encode(network())).run(["z"], {"image": images()})
    assert traceback.format_exception(error.value)[-1] == "hint: the model has 'y'\n"
    error.value.hint = "another"
    assert traceback.format_exception(error.value)[-2:] == [
        "onnxino.errors.InputError: there is no output 'z'\n",
        "hint: another\n",
    ]
    error.value.hint = None
    assert error.value.__notes__ == []


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        ("gpu", "there is no backend 'gpu'"),
        ("cuda", "there is no backend 'cuda'"),
        ("", "there is no backend ''"),
        ("NumPy", "there is no backend 'NumPy'"),
        (None, "backend is of type NoneType, expected a name"),
        (object(), "backend is of type object, expected a name"),
    ],
)
def test_no_such_backend(backend: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        InferenceSession(encode(network()), backend)
    assert error.value.message == message
    assert "choose numpy, c, emulator or a serial port" in (error.value.hint or "")


def test_no_such_backend_lists_the_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    for ports, text in (([("/dev/ttyACM0", "Nano 33")], "(found: /dev/ttyACM0)"), ([], "(none found)")):
        monkeypatch.setattr("onnxino_tools.transport.list_ports", lambda found=ports: found)
        with pytest.raises(InputError) as error:
            InferenceSession(encode(network()), backend="gpu")
        assert error.value.hint == f"choose numpy, c, emulator or a serial port {text}"


def test_arguments_of_onnx_runtime_are_ignored() -> None:
    options = onnxruntime.SessionOptions()
    session = InferenceSession(encode(network()), providers=["CPUExecutionProvider"], sess_options=options)
    assert np.array_equal(session.run(None, {"image": images()})[0], expected(images())[1])


def test_float64_gets_a_hint() -> None:
    with pytest.raises(InputError, match="float64, expected float32") as error:
        InferenceSession(encode(network(FLOAT))).run(None, {"image": images().astype(np.float64)})
    assert error.value.hint == "convert it: array.astype(np.float32)"


def test_inputs_of_different_batches() -> None:
    model = mb.single(Lookup(table=np.zeros(256, np.int8)), [[1, 2]], [1, 2])
    model.tensors.append(mb.tensor("other", [1, 2], 32))
    model.inputs.append(mb.port("other", 2, [1, 2]))
    model.arena_size = 34
    session = InferenceSession(encode(model))
    with pytest.raises(InputError, match="different batches: 'x0' 2, 'other' 3"):
        session.run(None, {"x0": np.zeros((2, 2), np.int8), "other": np.zeros((3, 2), np.int8)})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for name in ("missing.oxm", "missing.onnx"):
        with pytest.raises(OnnxinoError, match=name):
            InferenceSession(tmp_path / name)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "half.oxm"
    path.write_bytes(encode(network())[:200])
    with pytest.raises(ModelError, match=r"half\.oxm' is truncated"):
        InferenceSession(path)
    with pytest.raises(ModelError, match=r"half\.oxm' is truncated") as caught:
        load_model(path)
    assert caught.value.hint == "copy or convert it again"


def test_a_path_and_its_bytes_are_the_same_model(tmp_path: Path) -> None:
    path = tmp_path / "network.oxm"
    path.write_bytes(encode(network()))
    x = images()
    results = [InferenceSession(source).run(None, {"image": x})[0] for source in (path, str(path), path.read_bytes())]
    assert all(np.array_equal(result, results[0]) for result in results)


# ------------------------------------------------------------------------------------------------- the package


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import onnxino, sys; sys.exit(bool({'numpy', 'flatbuffers', 'onnx', 'onnxino.session'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_exports_what_it_says() -> None:
    import onnxino

    assert all(hasattr(onnxino, name) for name in onnxino.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        onnxino.nothing  # noqa: B018


def test_an_onnx_file_is_converted(shared: Path) -> None:
    path = shared / "models" / "mlperf_tiny" / "ad.onnx"
    shape = [d.dim_value for d in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]
    x = np.random.default_rng(3).integers(-128, 128, (2, shape[1])).astype(np.int8)
    theirs = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with InferenceSession(path) as session:
        name = session.get_inputs()[0].name
        assert session.get_inputs()[0].shape == theirs.get_inputs()[0].shape
        assert np.array_equal(session.run(None, {name: x})[0], theirs.run(None, {name: x})[0])


def test_port_without_dimension_names_is_called_n() -> None:
    model = network()
    model.inputs[0] = Port(name="image", tensor=0, type=INT8, shape=model.inputs[0].shape, perm=perm(0, 2, 3, 1))
    assert InferenceSession(encode(model)).get_inputs()[0].shape == ["N", 2, 4, 5]


def test_models_in_memory() -> None:
    """What convert() returns, and an onnx.ModelProto."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", ports[:1], ports[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = np.float32([[1, -2, 3]])
    for model in (convert(proto, float=True), proto):
        with InferenceSession(model) as session:
            assert np.array_equal(session.run(None, {"x": x})[0], np.abs(x))


@pytest.mark.parametrize("model", [None, 3, np.zeros(3), [b""]])
def test_what_is_no_model(model: Any) -> None:
    with pytest.raises(InputError, match=f"the model is of type {type(model).__name__}, expected a path") as caught:
        InferenceSession(model)
    assert caught.value.hint == "onnxino.InferenceSession('model.oxm')"


def test_a_closed_session_does_not_run(backend: str) -> None:
    session = InferenceSession(encode(network()), backend)
    session.close()
    session.close()
    for intermediates in (False, True):
        with pytest.raises(InputError, match="the session is closed") as caught:
            session.run(None, {"image": np.zeros((1, 2, 4, 5), np.int8)}, intermediates=intermediates)
        assert caught.value.hint == "open another: onnxino.InferenceSession(model)"


def test_a_large_batch_is_computed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pieces of 2, 2 and 1 samples are put together again."""
    from onnxino.backends import numpy_backend

    monkeypatch.setattr(numpy_backend, "CHUNK_BYTES", 2 * 60)
    x = images(5)
    assert np.array_equal(InferenceSession(encode(network())).run(None, {"image": x})[0], expected(x)[1])


# ------------------------------------------------------------------------------------------------- float32 and int64


def moving(kind: ElementType, port_kind: ElementType) -> bytes:
    """ONNX NCHW [N, 2, 3, 4] -> the second and the first row, on the device NHWC, of tensors of this type."""
    model = mb.single(Take(axis=1, indices=np.array([1, 0], np.uint32)), [[1, 3, 4, 2]], [1, 2, 4, 2], [kind], kind)
    for port, height in ((model.inputs[0], 3), (model.outputs[0], 2)):
        port.shape, port.perm = np.array([-1, 2, height, 4], np.int32), perm(0, 2, 3, 1)
        port.type = port_kind
    model.tensors[1].perm = perm(0, 2, 3, 1)
    return encode(model)


@pytest.mark.parametrize(
    ("kind", "dtype", "name"), [(FLOAT, np.float32, "tensor(float)"), (ElementType.Int32, np.int64, "tensor(int64)")]
)
def test_float32_and_int32_tensors_are_passed_through(
    kind: ElementType, dtype: type[np.generic], name: str, backend: str
) -> None:
    x = np.random.default_rng(1).integers(-(2**31), 2**31 - 1, (5, 2, 3, 4)).astype(dtype)
    if dtype is np.float32:
        x[0, 0, 0] = [np.inf, -0.0, 1e-45, np.nan]
    with InferenceSession(moving(kind, mb.PORT_TYPES.get(kind, kind)), backend) as session:
        assert [arg.type for arg in (*session.get_inputs(), *session.get_outputs())] == [name, name]
        result = session.run(None, {"x0": x}, intermediates=True)
        found = session.run(None, {"x0": x})[0]
    assert found.dtype == dtype
    assert found.tobytes() == np.ascontiguousarray(x[:, :, [1, 0]]).tobytes()
    assert np.array_equal(result.outputs[0], found, equal_nan=dtype is np.float32)
    inside = result.intermediates["y"]
    assert inside.dtype == (np.float32 if dtype is np.float32 else np.int32)
    assert np.array_equal(inside, found, equal_nan=dtype is np.float32)


def test_int64_beyond_32_bits_is_refused() -> None:
    x = np.zeros((1, 2, 3, 4), np.int64)
    x[0, 0, 0, 0] = 2**31
    with InferenceSession(moving(ElementType.Int32, ElementType.Int64)) as session:
        with pytest.raises(InputError, match="input 'x0' holds 0 to 2147483648, expected numbers of 32 bits"):
            session.run(None, {"x0": x})
        with pytest.raises(InputError, match="input 'x0' is float64, expected int64"):
            session.run(None, {"x0": x.astype(np.float64)})


@pytest.mark.parametrize(
    ("kind", "port_kind", "message"),
    [
        (FLOAT, INT8, "its type is Int8, expected Float32 .its tensor 'x0' is Float32"),
        (INT8, ElementType.Int64, "its type is Int64, expected Int8, UInt8 or Float32"),
        (ElementType.Int32, ElementType.Int32, "its type is Int32, expected Int64"),
        (ElementType.Int16, ElementType.Int16, "its tensor 'x0' is Int16, expected Int8, Int32 or Float32"),
    ],
)
def test_port_types_that_no_tensor_has(kind: ElementType, port_kind: ElementType, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(moving(kind, port_kind))
