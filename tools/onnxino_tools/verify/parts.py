"""Parts of an ONNX model that ONNX Runtime runs on their own: what it makes of the values that an operator was fed.

Where ONNX Runtime's rewritten graph holds no tensor of the model's (float32 convolutions in a blocked layout, operators
merged into others), the nodes of the original graph between an operator's inputs and its result are a model of their
own. It runs as it is written, nothing optimized; but where float32 weights stand in an operator that runs on integers,
quantizing them is ONNX Runtime's own doing, and only its optimizer does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from onnxino.schema.model import Model, Tensor

from onnxino.schema.model import Conv2D, DepthwiseConv2D, FullyConnected

_DENSE = (Conv2D, DepthwiseConv2D, FullyConnected)
QUANTIZED = "_quantized"  # the converter's name for a tensor that only it quantizes: that of the real tensor, and this


class Parts:
    """The parts of `proto`, of which `model` was made. Sessions are kept: a part is opened once."""

    def __init__(self, proto: ModelProto, model: Model) -> None:
        self._proto = proto
        self._model = model
        self._producers: dict[str, NodeProto] = {name: node for node in proto.graph.node for name in node.output}
        self._constants = {tensor.name for tensor in proto.graph.initializer}
        self._inputs = {info.name for info in proto.graph.input} - self._constants
        self._numbers = {self._onnx_name(t): k for k, t in enumerate(model.tensors) if t.data is None}
        self._kernels = {id(model.tensors[int(k)]): op.kernel for op in model.operators for k in op.outputs}
        self._restated = _restated(proto, model)
        self._types: dict[str, int] | None = None
        self._sessions: dict[str, tuple[Any, list[str]]] = {}

    def computed_by(self, tensor: Tensor) -> str:
        """Type of the ONNX node that makes the tensor."""
        node = self._producers.get(self._onnx_name(tensor) or "")
        return node.op_type if node is not None else ""

    def run(self, tensor: Tensor, values: dict[int, NDArray[Any]]) -> NDArray[Any] | None:
        """What ONNX Runtime computes for `tensor` from the nearest tensors before it that are in `values`.

        `values`: device arrays (1, *shape) of one sample by tensor number. Returns the ONNX array, quantized if the
        device's tensor is and the model's is not; None where the original graph has no such tensor, or ONNX Runtime
        cannot run the part.
        """
        from onnxino import numerics

        name = self._onnx_name(tensor)
        if name is None or name not in self._producers:
            return None
        try:
            session, inputs = self._open(name, values, tensor)
            if not self._restated.isdisjoint((name, *inputs)):
                return None  # as written, the part means other numbers by these bytes
            result: NDArray[Any] = session.run(None, {k: self._feed(k, values) for k in inputs})[0]
        except Exception:  # ONNX Runtime's own exceptions have no common base
            return None
        if name != tensor.name:
            return numerics.quantize(result, tensor.scale, tensor.zero_point)
        return result

    def before(self, number: int, inputs: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
        """The device's tensor (1, *shape) of this number, as ONNX Runtime makes it of the graph's `inputs`, by name.

        None where the original graph has no such tensor, or ONNX Runtime cannot run that part.
        """
        from onnxino import numerics
        from onnxino_tools.verify.compare import to_device
        from onnxino_tools.verify.oracle import Seen

        tensor = self._model.tensors[number]
        name = self._onnx_name(tensor)
        if name is None or name in self._restated:
            return None
        value = inputs.get(name) if name in self._inputs else self._run_from_inputs(name, inputs)
        if value is not None and name != tensor.name:
            value = numerics.quantize(value, tensor.scale, tensor.zero_point)
        return None if value is None else to_device(value, tensor, Seen(name, False, False, ""))

    def _run_from_inputs(self, name: str, inputs: dict[str, NDArray[Any]]) -> NDArray[Any] | None:
        key = f"{name} of the inputs"
        try:
            if key not in self._sessions:
                nodes, _ = self._walk(name, {})
                read = {i for node in self._proto.graph.node if id(node) in nodes for i in node.input}
                names = sorted(read & self._inputs)
                self._sessions[key] = self._session(nodes, names, name, None), names
            session, names = self._sessions[key]
            result: NDArray[Any] = session.run(None, {k: inputs[k] for k in names})[0]
        except Exception:  # ONNX Runtime's own exceptions have no common base
            return None
        return result

    def behind(self, output: str, number: int, value: NDArray[Any]) -> NDArray[Any] | None:
        """What ONNX makes of the value (1, *shape) of this tensor on the way to the graph output `output`.

        None where that is not made of this tensor alone, or ONNX Runtime cannot run that part.
        """
        tensor = self._model.tensors[number]
        if self._onnx_name(tensor) == output:
            return to_onnx(value, tensor, self._dtype(output))
        alias = int(tensor.alias_of)
        return self.ending(output, {alias if alias >= 0 else number: value})

    def ending(self, output: str, values: dict[int, NDArray[Any]]) -> NDArray[Any] | None:
        """The graph output `output`, made by ONNX Runtime of the nearest tensors before it that are in `values`.

        None where it cannot run that part.
        """
        key = f"{output} of {sorted(values)}"
        try:
            if key not in self._sessions:
                nodes, inputs = self._walk(output, values)
                self._sessions[key] = self._session(nodes, inputs, output, None), inputs
            session, inputs = self._sessions[key]
            if not self._restated.isdisjoint((output, *inputs)):
                return None
            result: NDArray[Any] = session.run(None, {k: self._feed(k, values) for k in inputs})[0]
        except Exception:  # ONNX Runtime's own exceptions have no common base
            return None
        return result

    def _onnx_name(self, tensor: Tensor) -> str | None:
        """The model's name for a device tensor: its own, or that of the real tensor that was quantized."""
        for name in (tensor.name, tensor.name.removesuffix(QUANTIZED)):
            if name in self._producers or name in self._inputs:
                return name
        return None

    def _value(self, name: str, values: dict[int, NDArray[Any]]) -> NDArray[Any] | None:
        number = self._numbers.get(name)
        if number is None:
            return None
        return values.get(number, values.get(int(self._model.tensors[number].alias_of)))

    def _open(self, output: str, values: dict[int, NDArray[Any]], tensor: Tensor) -> tuple[Any, list[str]]:
        """The part that ends in `output`, which is the device's `tensor`, and the names of its inputs. Raises what ONNX
        Runtime does, and LookupError for a part that does not mean the same there."""
        if output not in self._sessions:
            nodes, inputs = self._walk(output, values)
            if self._merged(nodes - {id(self._producers[output])}):
                raise LookupError(output)
            on_integers = isinstance(self._kernels.get(id(tensor)), _DENSE) and self._has_float_weights(nodes)
            self._sessions[output] = self._session(nodes, inputs, output, tensor if on_integers else None), inputs
        return self._sessions[output]

    def _has_float_weights(self, nodes: set[int]) -> bool:
        """Whether a Conv, Gemm or MatMul among the nodes (by id) has float32 constants as weights."""
        from onnx import TensorProto

        floats = {t.name for t in self._proto.graph.initializer if t.data_type == TensorProto.FLOAT}
        return any(
            id(node) in nodes and node.op_type in ("Conv", "Gemm", "MatMul") and not floats.isdisjoint(node.input[:2])
            for node in self._proto.graph.node
        )

    def _merged(self, nodes: set[int]) -> bool:
        """Whether a second quantization in a row is among the nodes (by id): ONNX Runtime merges it with the first."""
        for second in self._proto.graph.node:
            if id(second) in nodes and second.op_type == "QuantizeLinear":
                back = self._producers.get(second.input[0])
                first = None if back is None else self._producers.get(back.input[0])
                types = [node.op_type for node in (first, back) if node is not None]
                if types == ["QuantizeLinear", "DequantizeLinear"]:
                    return True
        return False

    def _walk(self, output: str, values: dict[int, NDArray[Any]]) -> tuple[set[int], list[str]]:
        """Back from `output` to the tensors that are known: the nodes (by id) in between, and the known ones."""
        nodes: set[int] = set()
        inputs: list[str] = []
        pending = [output]
        while pending:
            name = pending.pop()
            if name != output and self._value(name, values) is not None:
                inputs.append(name)
            elif name in self._producers and id(self._producers[name]) not in nodes:
                nodes.add(id(self._producers[name]))
                pending += [n for n in self._producers[name].input if n and n not in self._constants]
        return nodes, sorted(set(inputs))

    def _session(self, nodes: set[int], inputs: list[str], output: str, quantized: Tensor | None) -> Any:
        """quantized: the device's tensor, where the part is to run on integers; a real output is quantized like it and
        made real again, since without a quantizer behind an operator ONNX Runtime runs it in float32."""
        from onnx import ModelProto as Proto
        from onnx import ValueInfoProto, helper

        from onnxino_tools.verify.oracle import open_as_written, open_optimized

        types = self._element_types()
        part = Proto()
        part.CopyFrom(self._proto)
        del part.graph.node[:], part.graph.input[:], part.graph.output[:], part.graph.value_info[:]
        part.graph.node.extend(node for node in self._proto.graph.node if id(node) in nodes)
        part.graph.input.extend(helper.make_tensor_value_info(name, types[name], None) for name in inputs)
        if quantized is None:
            part.graph.output.append(ValueInfoProto(name=output))
            return open_as_written(part)
        part.graph.output.append(ValueInfoProto(name=_quantize(part, output, quantized)))
        return open_optimized(part)

    def _element_types(self) -> dict[str, int]:
        """ONNX element type of every tensor, as ONNX Runtime infers them (it knows its own operators)."""
        if self._types is None:
            from onnx import ModelProto as Proto
            from onnx import TensorProto, ValueInfoProto

            from onnxino_tools.verify.oracle import open_as_written

            exposed = Proto()
            exposed.CopyFrom(self._proto)
            known = {info.name for info in exposed.graph.output}
            names = [name for node in exposed.graph.node for name in node.output if name and name not in known]
            exposed.graph.output.extend(ValueInfoProto(name=name) for name in names)
            session = open_as_written(exposed)
            kinds = {"tensor(float)": TensorProto.FLOAT, "tensor(int8)": TensorProto.INT8}
            kinds |= {"tensor(uint8)": TensorProto.UINT8, "tensor(int64)": TensorProto.INT64}
            ports = [*session.get_inputs(), *session.get_outputs()]
            self._types = {port.name: kinds[port.type] for port in ports if port.type in kinds}
        return self._types

    def _feed(self, name: str, values: dict[int, NDArray[Any]]) -> NDArray[Any]:
        tensor = self._model.tensors[self._numbers[name]]
        value = self._value(name, values)
        assert value is not None
        return to_onnx(value, tensor, self._dtype(name))

    def _dtype(self, name: str) -> np.dtype[Any]:
        from onnx import helper

        return helper.tensor_dtype_to_np_dtype(self._element_types()[name])


def _quantize(part: ModelProto, name: str, tensor: Tensor) -> str:
    """Appends a pair of QuantizeLinear and DequantizeLinear with the tensor's parameters; the name of its result."""
    import numpy as np
    from onnx import helper, numpy_helper

    if name == tensor.name:
        return name
    unsigned = tensor.onnx_type.name == "UInt8"
    zero = np.uint8(tensor.zero_point + 128) if unsigned else np.int8(tensor.zero_point)
    parameters = [f"{name}_own_scale", f"{name}_own_zero_point"]
    for constant, value in zip(parameters, (np.float32(tensor.scale), zero), strict=True):
        part.graph.initializer.append(numpy_helper.from_array(np.asarray(value), constant))
    between, result = f"{name}_own_quantized", f"{name}_own_real"
    part.graph.node.append(helper.make_node("QuantizeLinear", [name, *parameters], [between]))
    part.graph.node.append(helper.make_node("DequantizeLinear", [between, *parameters], [result]))
    return result


def _restated(proto: ModelProto, model: Model) -> set[str]:
    """Tensors that have another quantization on the device than their QuantizeLinear states: ONNX Runtime merges two in
    a row, and so does the converter."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    held = {tensor.name: tensor for tensor in model.tensors if tensor.data is None}
    names: set[str] = set()
    for node in proto.graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] in held and node.input[1] in constants:
            scale = numpy_helper.to_array(constants[node.input[1]])
            if scale.size == 1 and float(scale.ravel()[0]) != held[node.output[0]].scale:
                names.add(node.output[0])
    return names


def to_onnx(value: NDArray[Any], tensor: Tensor, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A device array (1, *tensor.shape) as the ONNX tensor of this type: float32 means dequantized if it is int8."""
    import numpy as np

    from onnxino import numerics

    array = value.reshape([int(d) for d in tensor.shape])
    if tensor.perm is not None:
        array = np.ascontiguousarray(array.transpose(np.argsort(tensor.perm)))
    if dtype == np.float32 and array.dtype == np.int8:
        return numerics.dequantize(array, tensor.scale, tensor.zero_point)
    if dtype == np.uint8:
        return array.view(np.uint8) ^ np.uint8(0x80)
    return array.astype(dtype)
