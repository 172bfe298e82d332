"""USB and UART of the emulated board together: each is answered, and noise on one does not silence the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("unicorn", reason="the emulator needs unicorn")

from onnxino_tools.build import firmware_image
from onnxino_tools.emulator import EmulatorTransport, Machine
from onnxino_tools.link import DeviceLink
from onnxino_tools.protocol import REPLY, Command, Decoder, Event, Frame, Hello, Transport


class Board:
    """The machine, its USB port as a link, and its UART as bytes."""

    def __init__(self) -> None:
        self.machine = Machine(firmware_image(), usb=True)
        self.link = DeviceLink(EmulatorTransport(self.machine))
        self.decoder = Decoder()

    def uart(self, data: bytes, seconds: float = 0.05) -> list[Frame]:
        """Sends bytes over the UART and returns what comes back there."""
        self.machine.uart_write(data)
        self.run(seconds)
        return list(self.decoder.feed(self.machine.uart_read()))

    def run(self, seconds: float) -> None:
        scheduler = self.machine.scheduler
        end = scheduler.now + int(seconds * 64_000_000)
        while scheduler.now < end:
            if self.machine.run(max_cycles=end - scheduler.now) == "idle":
                self.machine.skip(min(64_000, max(end - scheduler.now, 0)))


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    assert made.machine.warnings == []


def test_the_answer_comes_where_the_question_came(board: Board) -> None:
    for sequence in range(3):
        assert board.link.hello().transport == Transport.USB
        (found,) = board.uart(Frame(Command.HELLO, sequence).encode())
        assert (found.type, found.sequence) == (Command.HELLO | REPLY, sequence)
        assert Hello.parse(found.payload).transport == Transport.UART
    assert board.link.retries == 0


def test_usb_breaks_into_half_a_frame_on_the_uart(board: Board) -> None:
    whole = Frame(Command.ECHO, 1, bytes(range(200))).encode()
    for cut in (1, 3, 100, len(whole) - 1):
        assert board.uart(whole[:cut]) == []
        assert board.link.echo(b"x" * 300) == b"x" * 300
        board.uart(whole[cut:])  # the rest is no frame
        (found,) = [f for f in board.uart(whole) if f.type == Command.ECHO | REPLY]
        assert found.payload == bytes(range(200))
    assert board.link.retries == 0


def test_noise_on_an_open_pin_does_not_disturb_usb(board: Board) -> None:
    for value in (0x55, 0xFF, 0x00, 0x01):
        board.machine.uart_write(bytes([value]) * 20_000)
        for _ in range(5):
            assert board.link.echo(bytes(range(256))) == bytes(range(256))
    assert board.link.retries == 0


def test_the_uart_waits_for_half_a_frame_on_usb(board: Board) -> None:
    whole = Frame(Command.ECHO, 9, b"over USB").encode()
    request = Frame(Command.ECHO, 8, b"over the UART").encode()
    assert board.machine.usb is not None
    board.machine.usb.write(whole[:7])
    board.run(0.05)
    assert board.uart(request, 0.05) == []
    board.machine.usb.write(whole[7:])
    board.run(0.05)
    (found,) = board.uart(b"")
    assert found.payload == b"over the UART"
    (found,) = Decoder().feed(board.machine.usb.read())
    assert found.payload == b"over USB"


def test_half_a_frame_on_usb_does_not_hold_the_uart_for_ever(board: Board) -> None:
    assert board.machine.usb is not None
    board.machine.usb.write(Frame(Command.ECHO, 9, b"over USB").encode()[:7])
    board.run(0.3)
    (found,) = board.uart(Frame(Command.ECHO, 8, b"over the UART").encode())
    assert found.payload == b"over the UART"


def test_the_uart_hears_of_its_own_noise(board: Board) -> None:
    found = board.uart(b"noise\0" + Frame(Command.ECHO, 8, b"after").encode())
    assert [frame.type for frame in found] == [Event.BAD_FRAME | REPLY, Command.ECHO | REPLY]
