"""Move a Transpose behind the quantizer pairs that part it from another Transpose: the two become one, or nothing.

    x -> T1 -> Q -> DQ -> T2    becomes    x -> Q -> DQ -> T2 of T1

ONNX Runtime does it, and where that leaves two pairs in a row, it merges them to one with other parameters: so this
runs before passes/merge_pairs.py, and only where a pair stands before x or behind T2. Pairs with one scale only, and
only where nothing else reads the tensors between.
"""

from __future__ import annotations

from onnxino_converter.ir import Graph, Node, Value

_PAIR = ("QuantizeLinear", "DequantizeLinear")


def join_transposes(graph: Graph) -> bool:
    changed = False
    while _join_once(graph):
        changed = True
    return changed


def _join_once(graph: Graph) -> bool:
    users, outputs, producers = graph.users(), graph.output_values(), graph.producers()
    for first in graph.nodes:
        if first.op != "Transpose" or first.spec is not None:
            continue
        pairs = _pairs_behind(first, users, outputs)
        last = pairs[-1] if pairs else None
        second = None if last is None else _only_reader(last.output, users, outputs)
        if second is None or second.op != "Transpose":
            continue
        before, behind = producers.get(first.input(0)), _only_reader(second.output, users, outputs)
        if not _is(before, "DequantizeLinear") and not _is(behind, "QuantizeLinear"):
            continue
        _join(graph, first, pairs, second)
        return True
    return False


def _is(node: Node | None, op: str) -> bool:
    return node is not None and node.op == op


def _pairs_behind(node: Node, users: dict[Value, list[Node]], outputs: set[Value]) -> list[Node]:
    """The chain of QuantizeLinear and DequantizeLinear, pair by pair, that alone reads the node's result."""
    chain: list[Node] = []
    value = node.output
    while True:
        reader = _only_reader(value, users, outputs)
        if reader is None or reader.op != _PAIR[len(chain) % 2] or reader.attributes["scale"].size != 1:
            return chain[: len(chain) // 2 * 2]
        chain.append(reader)
        value = reader.output


def _only_reader(value: Value, users: dict[Value, list[Node]], outputs: set[Value]) -> Node | None:
    readers = users.get(value, [])
    return readers[0] if len(readers) == 1 and value not in outputs and not value.read_by_dead else None


def _join(graph: Graph, first: Node, pairs: list[Node], second: Node) -> None:
    shape = first.input(0).shape
    pairs[0].inputs[0] = first.input(0)
    perm_1: tuple[int, ...] = tuple(first.attributes["perm"])
    perm_2: tuple[int, ...] = tuple(second.attributes["perm"])
    back = [perm_1.index(axis) for axis in range(len(shape))]
    for node in pairs:
        known = node.output.perm or tuple(range(len(shape)))
        node.output.shape = shape
        node.output.perm = tuple(known[axis] for axis in back)
    perm = tuple(perm_1[axis] for axis in perm_2)
    second.attributes = {**second.attributes, "perm": perm}
    graph.nodes.remove(first)
    if perm == tuple(range(len(perm))):
        _drop(graph, second)


def _drop(graph: Graph, node: Node) -> None:
    """A Transpose that leaves every axis where it is; one that makes an output stays, for the output's name."""
    if node.output in graph.output_values():
        return
    for reader in graph.nodes:
        reader.inputs = [node.input(0) if value is node.output else value for value in reader.inputs]
    graph.nodes.remove(node)
