"""How long a model takes over the serial line: the frames that are sent, and what the flash needs.

UART: the bits of the very frames that DeviceLink sends and of their answers, one after the other. USB: the line is
faster than the device looks at it, so there is one measured number for a byte. The flash takes its time on both, for
the core stands still meanwhile. Measured numbers are those of the emulated board (its host answers at once; a real
one may let each request wait for up to a millisecond).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from onnxino.boards import NANO33BLE, Board

ERASE_S = 85e-3
"""A page's erase: nRF52840 Product Specification, NVMC, t_ERASEPAGE, the longest."""
WRITE_WORD_S = 41e-6
"""Programming of 4 bytes: the same, t_WRITE, the longest."""
UART_BITS = 10  # 8N1: start, 8 bits, stop
DEVICE_BYTE_S = 1.2e-6
"""Copy and checksums of a byte on the device, over the UART: measured in the emulator."""
USB_BYTE_S = 2.35e-6
"""All that a byte takes over USB without the flash: measured in the emulator."""


@dataclass(frozen=True)
class Upload:
    """Seconds, estimated. uart_s, usb_s: in all, flash_s of them in the flash; line_bytes: on the UART, both ways."""

    uart_s: float
    usb_s: float
    flash_s: float
    line_bytes: int
    requests: int
    baud_rate: int

    def as_dict(self) -> dict[str, float | int]:
        """For --json."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def upload_time(content: bytes, board: Board = NANO33BLE) -> Upload:
    """Of a .oxm file to an empty model region."""
    from onnxino_tools.transport import BAUD_RATE

    size = len(content)
    pages = -(-size // board.page_size)
    flash = pages * ERASE_S + -(-size // 4) * WRITE_WORD_S
    line, requests = _line(content)
    uart = flash + line * UART_BITS / BAUD_RATE + size * DEVICE_BYTE_S
    return Upload(uart, flash + size * USB_BYTE_S, flash, line, requests, BAUD_RATE)


def _line(content: bytes) -> tuple[int, int]:
    """Bytes on the line in both directions, and requests: as DeviceLink.load_model sends them."""
    from onnxino_tools.link import DATA
    from onnxino_tools.protocol import REPLY, Command, Frame

    header = 32
    payloads = [(Command.LOAD_BEGIN, content[:header])]
    at = header
    while at < len(content):
        end = min(at + DATA, (at // DATA + 1) * DATA)
        payloads.append((Command.LOAD_WRITE, at.to_bytes(4, "little") + content[at:end]))
        at = end
    payloads.append((Command.LOAD_COMMIT, b""))
    asked = sum(len(Frame(command, 1, payload).encode()) for command, payload in payloads)
    answered = sum(len(Frame(command | REPLY, 1).encode()) for command, _ in payloads)
    return asked + answered, len(payloads)
