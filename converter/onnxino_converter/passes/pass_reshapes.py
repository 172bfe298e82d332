"""Move Transposes past Reshapes that only add or remove axes of size 1 (Squeeze, Unsqueeze, convolutions over rows).

1. Reshape(T(x))                   -> T'(Reshape'(x)), towards the outputs
2. T(Reshape(input)), nothing else -> Reshape'(T'(input)), which the input's port then takes up
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, Node, Shape, Value
from onnxino_converter.passes.push_transposes import moves_nothing
from onnxino_converter.passes.to_nhwc import behind_transpose, inverse, transpose_node
from onnxino_converter.quantized import ReshapeSpec, TransposeSpec


def pass_reshapes(graph: Graph) -> bool:
    producers, users = graph.producers(), graph.users()
    ports = {port.value for port in graph.inputs} - graph.output_values()

    def rule(node: Node) -> list[Node] | None:
        source = producers.get(node.input(0)) if node.present else None
        if source is None or {node.op, source.op} != {"Reshape", "Transpose"} or not _same_but_ones(source, node):
            return None
        turn = source if source.op == "Transpose" else node
        if moves_nothing(turn.input(0).shape, turn.spec.perm):
            return None  # alias_transposes will make it a Reshape
        if turn is source:
            made = _after(graph, source, node)
        elif _alone(source, ports, users):
            made = _before(graph, source, node)
        else:
            return None
        producers.update({new.output: new for new in made})
        return made

    changed = graph.rewrite(rule)
    return changed and (graph.remove_dead() or True)


def _alone(reshape: Node, ports: set[Value], users: dict[Value, list[Node]]) -> bool:
    """Whether a Reshape is all that reads an input, and has one reader."""
    return reshape.input(0) in ports and len(users[reshape.input(0)]) == 1 and len(users[reshape.output]) == 1


def _real_axes(shape: Shape) -> list[int]:
    return [axis for axis, size in enumerate(shape) if size != 1]


def _same_but_ones(first: Node, second: Node) -> bool:
    """Whether the one of the two that is a Reshape keeps all axes longer than 1."""
    reshape = second if second.op == "Reshape" else first
    x, y = reshape.input(0).shape, reshape.output.shape
    return [x[a] for a in _real_axes(x)] == [y[a] for a in _real_axes(y)]


def _after(graph: Graph, transpose: Node, reshape: Node) -> list[Node]:
    """z = Reshape(T(x)): the axes of z in the order in which x has them, ones first, then a Transpose to z."""
    x, y, z = transpose.input(0), transpose.output, reshape.output
    perm = transpose.spec.perm
    position = dict(zip(_real_axes(z.shape), (perm[a] for a in _real_axes(y.shape)), strict=True))
    ones = [axis for axis in range(len(z.shape)) if axis not in position]
    order = (*ones, *sorted(position, key=lambda axis: position[axis]))
    turn = inverse(order)
    w = behind_transpose(graph, z, turn)
    return [
        Node("Reshape", reshape.name, [x], [w], spec=ReshapeSpec()),
        Node("Transpose", transpose.name, [w], [z], spec=TransposeSpec(turn)),
    ]


def _before(graph: Graph, reshape: Node, transpose: Node) -> list[Node]:
    """z = T(Reshape(x)): x transposed so that its axes lie as in z, ones first, then a Reshape to z."""
    x, y, z = reshape.input(0), reshape.output, transpose.output
    axis_of_x = dict(zip(_real_axes(y.shape), _real_axes(x.shape), strict=True))
    ones = [axis for axis in range(len(x.shape)) if x.shape[axis] == 1]
    perm = (*ones, *(axis_of_x[a] for a in transpose.spec.perm if a in axis_of_x))
    turned = transpose_node(graph, x, perm, transpose.name)
    return [turned, Node("Reshape", reshape.name, [turned.output], [z], spec=ReshapeSpec())]
