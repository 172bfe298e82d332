"""What a board says about itself, as values and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnxino_tools.protocol import Hello

_NO_MODEL = -4  # erased flash: not an Onnxino model
_BOOTLOADERS = {1: "of 2019", 2: "of 2021"}
_RESETS = {
    0: "reset button",
    1: "watchdog",
    2: "software",
    3: "lock-up of the core",
    16: "wake-up by a pin",
    17: "wake-up by the comparator",
    18: "debugger",
    19: "wake-up by NFC",
    20: "wake-up by USB power",
}
# The C runtime's onx_status_text.
MODEL_STATUS = {
    0: "done",
    -1: "a pointer is NULL or an index does not exist",
    -2: "the model or the arena is not aligned to 16 bytes",
    -3: "the model is truncated",
    -4: "not an Onnxino model",
    -5: "the model has a newer format than this runtime reads",
    -6: "the model's header is damaged",
    -7: "the model is damaged: its CRC-32 differs",
    -8: "the model is damaged: its flatbuffer is malformed",
    -9: "the model has an impossible tensor",
    -10: "the model has an impossible graph input or output",
    -11: "an operator's operands and attributes do not fit together",
    -12: "this build has no kernel for an operator",
    -13: "an operator reads a tensor that is not written, or writes one twice",
    -14: "the memory plan overlaps or leaves the arena",
    -15: "the arena has the wrong size",
}


def ask(port: str) -> Hello:
    """Opens a port, asks the board behind it for its facts, and closes it. Raises LinkError."""
    from onnxino_tools.devices import first_hello, open_device

    with open_device(port) as link:
        return first_hello(link, port)


def of_device(hello: Hello) -> dict[str, object]:
    """What a device answers to hello, as it says it (model_crc is a number), and the status as text."""
    import dataclasses

    return {
        **dataclasses.asdict(hello),
        "model_valid": hello.model_valid,
        "model_status_text": _status(hello),
    }


def _status(hello: Hello) -> str:
    if hello.model_valid:
        return "valid"
    return MODEL_STATUS.get(hello.model_status, "unknown status")


def for_people(hello: Hello) -> dict[str, object]:
    """The facts in words and with units."""
    from onnxino.boards import BOARDS
    from onnxino_tools.protocol import Transport

    titles = {board.board_id: board.title for board in BOARDS.values()}
    return {
        "board": titles.get(hello.board_id, f"unknown, id {hello.board_id}"),
        "device_id": hello.device_id,
        "firmware": f"{hello.firmware_version}, protocol {hello.protocol_version}",
        "clock": f"{hello.clock_hz / 1e6:g} MHz",
        "flash_for_a_model": f"{hello.model_region_size:,} bytes in pages of {hello.page_size:,}",
        "arena": f"{hello.arena_size:,} bytes",
        "stack": f"{hello.stack_size:,} bytes, {hello.stack_free:,} never used",
        "largest_payload": f"{hello.max_payload:,} bytes",
        "image": f"{hello.image_size:,} bytes, CRC-32 0x{hello.image_crc:08x}",
        "asked_over": Transport(hello.transport).name,
        "bootloader": _BOOTLOADERS.get(hello.bootloader, "unknown"),
        "last_reset": _reset_reasons(hello.reset_reasons),
        "fault_record": "one waits: onnxino selftest shows it" if hello.fault_waiting else "none",
        **_model_for_people(hello),
    }


def _reset_reasons(bits: int) -> str:
    """POWER.RESETREAS in words."""
    said = [text for bit, text in _RESETS.items() if bits >> bit & 1]
    return ", ".join(said) or "power-on"


def _model_for_people(hello: Hello) -> dict[str, object]:
    if hello.model_status == _NO_MODEL:
        return {"model": "none loaded"}
    if not hello.model_valid:
        return {"model": f"cannot be used: {_status(hello)} (status {hello.model_status})"}
    return {
        "model": hello.model_name,
        "model_size": f"{hello.model_size:,} bytes, CRC-32 0x{hello.model_crc:08x}",
        "model_arena": f"{hello.model_arena_size:,} bytes",
        "model_operators": hello.operators,
        "inputs": _sizes(hello.input_sizes),
        "outputs": _sizes(hello.output_sizes),
    }


def _sizes(sizes: tuple[int, ...]) -> str:
    return ", ".join(f"{size:,} bytes" for size in sizes)
