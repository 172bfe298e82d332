"""flash: what proves that flash holds what was written, and that it is the right board's; each check is needed."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from onnxino.errors import LinkError
from onnxino.schema.codec import encode
from onnxino_tools.boards import APPLICATION, BOOTLOADER, ConnectedBoard
from onnxino_tools.build import firmware_image
from onnxino_tools.flasher import flash
from onnxino_tools.flasher.sam_ba import PAGE, crc16
from onnxino_tools.image_mark import seal
from onnxino_tools.transport import PortMissingError
from tests.tools.fake_board import FakeBoard, FakePorts, FakeTransport
from tests.tools.models import tiny_model

IMAGE = firmware_image()
MODEL = encode(tiny_model())
BASE, MODEL_AT = 0x10000, 0x40000


def sketch(size: int = 9000) -> bytes:
    data = bytearray((i * 37 + (i >> 8) * 11) & 255 for i in range(size))
    struct.pack_into("<II", data, 0, 0x20040000, 0x10101)
    return bytes(data)


def twin(data: bytes, at: int) -> bytes:
    """Other bytes with the same CRC-16: they differ by a multiple of its polynomial."""
    changed = bytearray(data)
    for i, bits in enumerate((0x01, 0x10, 0x21)):
        changed[at + i] ^= bits
    assert crc16(bytes(changed[at : at + 100])) == crc16(data[at : at + 100])
    return bytes(changed)


def held(board: FakeBoard, size: int, at: int = BASE) -> bytes:
    return bytes(board.flash[at : at + size])


class MangledPorts(FakePorts):
    """What the board sends goes through `change`."""

    def __init__(self, board: FakeBoard, change: Callable[[bytes], bytes]) -> None:
        super().__init__(board)
        self.change = change

    def open(self, port: str) -> FakeTransport:
        transport = super().open(port)
        read = transport.read
        transport.read = lambda timeout: self.change(read(timeout))  # type: ignore[method-assign]
        return transport


# ---------------------------------------------------------------------- equal checksums


@pytest.mark.parametrize("generation", [1, 2])
def test_a_sketch_with_equal_checksums_is_written(generation: int) -> None:
    first = sketch()
    other = twin(first, 5000)
    board = FakeBoard(generation)
    for wanted in (first, other):
        board.start(stay=True)
        result = flash(wanted, ports=FakePorts(board))
        assert held(board, len(wanted)) == wanted
        assert (result.image, result.pages, result.pages_compared, result.pages_written) == ("written", 3, 0, 3)


def test_an_own_image_with_equal_checksums_is_written() -> None:
    """All pages compare equal, the firmware's CRC-32 does not: then all are written."""
    other = seal(twin(IMAGE, 5000))
    board = FakeBoard(1, IMAGE)
    board.flash[BASE : BASE + len(other)] = twin(other, 9000)
    board.image = bytes(board.flash[BASE : BASE + len(other)])
    board.start()
    assert board.application is not None

    def restarted(count: int) -> None:
        board.image = other

    board.before_write = restarted
    result = flash(other, ports=FakePorts(board))
    assert held(board, len(other)) == other
    assert result.pages_written == result.pages
    assert result.hello is not None


def test_a_model_with_equal_checksums_is_written() -> None:
    board = FakeBoard(1, IMAGE)
    board.flash[MODEL_AT : MODEL_AT + len(MODEL)] = twin(MODEL, 100)
    board.start()
    result = flash(None, MODEL, ports=FakePorts(board), method="bootloader")
    assert held(board, len(MODEL), MODEL_AT) == MODEL
    assert (result.image, result.model, result.pages_written) == ("", "written", result.pages)


def test_an_image_that_is_there_and_does_not_answer_is_written_again() -> None:
    board = FakeBoard(1)
    broken = twin(IMAGE, 5000)
    board.flash[BASE : BASE + len(IMAGE)] = broken
    board.image = IMAGE
    board.start(stay=True)
    assert flash(ports=FakePorts(board)).pages_written == -(-len(IMAGE) // PAGE)
    assert held(board, len(IMAGE)) == IMAGE


# ---------------------------------------------------------------------- the checks, one by one


def test_what_changes_after_it_was_written_is_noticed() -> None:
    """Page 1 changes when page 2 is written: only reading everything once more shows it."""
    for verify in (True, False):
        board = FakeBoard(1)

        def spoil(count: int, board: FakeBoard = board) -> None:
            if board.writes and board.writes[-1][0] == BASE + PAGE and held(board, 1, BASE + 2 * PAGE) == b"\xff":
                board.flash[BASE + PAGE + 50] ^= 1

        board.before_write = spoil
        result = flash(sketch(), ports=FakePorts(board), verify=verify)
        assert (held(board, 9000) == sketch()) == verify
        assert (result.resumed, result.pages_verified) == ((1, 3) if verify else (0, 0))


@pytest.mark.parametrize("at", [3, PAGE // 2 - 1, PAGE // 2, PAGE - 1])
def test_both_halves_of_a_written_page_are_checked(at: int) -> None:
    board = FakeBoard(1)
    write, times = board.write, [0]

    def noisy(action: object) -> None:
        write(action)  # type: ignore[arg-type]
        if board.writes[-1] == (BASE + PAGE, PAGE) and not times[0]:
            times[0] = 1
            board.flash[BASE + PAGE + at] ^= 1

    board.write = noisy  # type: ignore[method-assign,assignment]
    flash(sketch(), ports=FakePorts(board), verify=False)
    assert times == [1]
    assert held(board, 9000) == sketch()


@pytest.mark.parametrize("times", [1, 9])
def test_the_firmware_must_have_the_model(times: int) -> None:
    """The model changes when the board restarts, after everything was read."""
    board = FakeBoard(1, IMAGE)
    left = [times]

    class Spoilt(FakePorts):
        def open(self, port: str) -> FakeTransport:
            if board.mode == "application" and left[0] and held(board, len(MODEL), MODEL_AT) == MODEL:
                left[0] -= 1
                board.flash[MODEL_AT + 150] ^= 1
                board.start(after=board.time)
            return super().open(port)

    if times == 1:
        result = flash(None, MODEL, ports=Spoilt(board), method="bootloader")
        assert held(board, len(MODEL), MODEL_AT) == MODEL
        assert result.hello is not None
        assert result.hello.model_valid
    else:
        with pytest.raises(LinkError, match="the board does not take the model") as error:
            flash(None, MODEL, ports=Spoilt(board), method="bootloader")
        assert error.value.hint == "flash it once more"


def test_another_chip_is_not_written() -> None:
    board = FakeBoard(1)
    ports = MangledPorts(board, lambda data: data.replace(b"nRF52840", b"nRF52833"))
    with pytest.raises(LinkError, match="the bootloader writes another chip: 'nRF52833-QIAA"):
        flash(ports=ports)
    assert board.writes == []


@pytest.mark.parametrize(
    "change",
    [
        lambda z: b"Y" + z[1:],
        lambda z: z[:9] + b"!\n\r",
        lambda z: z[:1] + b"0x" + z[3:],
        lambda z: z[:1] + b"-" + z[2:],
        lambda z: z[:1] + b"0000_" + z[6:],
    ],
    ids=["letter", "end", "prefix", "sign", "underscore"],
)
def test_a_checksum_in_another_frame_is_not_believed(change: Callable[[bytes], bytes]) -> None:
    board = FakeBoard(1)
    ports = MangledPorts(board, lambda data: change(data) if data[:1] == b"Z" else data)
    with pytest.raises(LinkError, match="does not answer with a checksum, but with"):
        flash(ports=ports)
    assert board.writes == []


def test_a_damaged_checksum_is_asked_for_again() -> None:
    board = FakeBoard(1)
    board.image = IMAGE
    count = [0]

    def change(data: bytes) -> bytes:
        count[0] += data[:1] == b"Z"
        return b"[" + data[1:] if data[:1] == b"Z" and count[0] % 3 == 0 else data

    result = flash(ports=MangledPorts(board, change))
    assert (result.image, result.resumed) == ("written", 0)
    assert result.retries > 5


# ---------------------------------------------------------------------- foreign images


def test_a_sketch_that_names_onnxino_is_a_sketch() -> None:
    image = bytearray(sketch())
    image[4000:4030] = b"Powered by Onnxino C runtime  "
    board = FakeBoard(1)
    result = flash(bytes(image), ports=FakePorts(board))
    assert (result.image, result.hello, result.warnings) == ("written", None, [])


def test_a_sketch_without_a_port_is_told() -> None:
    board = FakeBoard(1)

    class Mute(FakePorts):
        def boards(self) -> list[ConnectedBoard]:
            return super().boards() if board.mode == "bootloader" else []

    result = flash(sketch(), ports=Mute(board))
    assert "USB port did not come back within 5 s" in result.warnings[0]
    assert "reset button twice" in result.warnings[0]
    assert result.as_json()["warnings"] == result.warnings


# ---------------------------------------------------------------------- the right board


class TwoBoards(FakePorts):
    """Board a is just restarting. After the touch it is ttyACM1, and board b has a's name."""

    def __init__(self, a: FakeBoard, b: FakeBoard, ids_of_a: bool = True) -> None:
        super().__init__(a)
        self.a, self.b, self.ids_of_a, self.swapped = a, b, ids_of_a, False

    def _at(self, port: str) -> FakeBoard:
        return self.b if self.swapped and port == "/dev/ttyACM0" else self.a

    def boards(self) -> list[ConnectedBoard]:
        if not self.swapped:
            there = self.ids_of_a and self.a.time >= self.a.back_at
            return [ConnectedBoard("/dev/ttyACM0", self.a.mode, APPLICATION, self.a.serial)] if there else []
        found = [ConnectedBoard("/dev/ttyACM0", self.b.mode, BOOTLOADER, self.b.serial)]
        if self.ids_of_a and self.a.time >= self.a.back_at:
            found.append(ConnectedBoard("/dev/ttyACM1", self.a.mode, BOOTLOADER, "0" * 16 + self.a.serial))
        return found

    def open(self, port: str) -> FakeTransport:
        self.board = self._at(port)
        self.board.time = max(self.a.time, self.b.time)
        if self.board.time < self.board.back_at:
            raise PortMissingError(f"there is no serial port {port}")
        return FakeTransport(self)

    def touch(self, port: str) -> None:
        self.swapped = True
        self.a.start(stay=True, after=self.a.time + 1.0)

    def sleep(self, seconds: float) -> None:
        self.a.time += seconds
        self.b.time = self.a.time

    def now(self) -> float:
        return max(self.a.time, self.b.time)


def _two() -> tuple[FakeBoard, FakeBoard]:
    old = bytes(IMAGE[:6000]) + b"abc" + IMAGE[6003:]
    a, b = FakeBoard(1, old), FakeBoard(1, old)
    b.serial = "1111222233334444"
    b.start(stay=True)
    a.back_at = 0.5
    return a, b


def test_a_named_port_that_appears_late_is_one_board_for_good() -> None:
    a, b = _two()
    a.application, a.image = None, b""  # some sketch
    with pytest.raises(LinkError):
        flash(IMAGE, ports=TwoBoards(a, b), port="/dev/ttyACM0")
    assert len(a.writes) > 3
    assert b.writes == []


def test_a_name_that_another_board_takes_over() -> None:
    a, b = _two()
    with pytest.raises(LinkError, match="another board has the name /dev/ttyACM0 now"):
        flash(IMAGE, ports=TwoBoards(a, b, ids_of_a=False), port="/dev/ttyACM0")
    assert (a.writes, b.writes) == ([], [])


def test_another_chip_answers_at_the_end() -> None:
    board = FakeBoard(1, seal(IMAGE.replace(b"model", b"MODEL")))
    changed = [False]

    class Other(FakePorts):
        def open(self, port: str) -> FakeTransport:
            if board.application is not None and board.writes and not changed[0]:
                changed[0] = True
                hello = board.application._hello  # pyright: ignore[reportPrivateUsage]

                def other(payload: bytes) -> tuple[int, bytes]:
                    status, answer = hello(payload)
                    return status, answer[:8] + b"\x99" + answer[9:]

                board.application._hello = other  # type: ignore[method-assign]
            return super().open(port)

    board.before_write = lambda count: setattr(board, "image", IMAGE)
    with pytest.raises(LinkError, match=r"another board answers now: chip .*99; it was .*00 before"):
        flash(IMAGE, ports=Other(board))


# ---------------------------------------------------------------------- ports that are no board


class Modem:
    """Answers ERROR to everything. A port and all ports."""

    name = "modem"

    def __init__(self) -> None:
        self.got = b""
        self.touched = 0
        self.time = 0.0

    def write(self, data: bytes) -> None:
        self.got += data

    def read(self, timeout: float) -> bytes:
        self.time += max(timeout, 0.001)
        return b""

    def close(self) -> None:
        pass

    def boards(self) -> list[ConnectedBoard]:
        return []

    def open(self, port: str) -> Modem:
        return self

    def touch(self, port: str) -> None:
        self.touched += 1

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def now(self) -> float:
        return self.time


def test_what_is_no_board_is_hardly_disturbed() -> None:
    modem = Modem()
    with pytest.raises(LinkError, match="did not answer within 10 s") as error:
        flash(ports=modem, port="/dev/ttyUSB0")
    assert modem.touched == 1
    assert modem.got.count(b"#" * 4097) == 1
    assert len(modem.got) < 4097 + 150
    assert "D0 and D1 (UART) it cannot be reached" in str(error.value.hint)


def test_nothing_to_do_is_said_without_a_restart() -> None:
    board = FakeBoard(1, IMAGE)
    ports = FakePorts(board)
    result = flash(ports=ports)
    assert (result.method, result.image, result.pages_written, ports.touched) == ("application", "unchanged", 0, 0)
    assert result.hello is not None
    assert result.image_sha256
    result = flash(IMAGE, MODEL, ports=ports)
    assert (result.method, result.image, result.model, ports.touched) == ("application", "unchanged", "written", 0)
    assert held(board, len(MODEL), MODEL_AT) == MODEL


def test_unplugged_while_the_firmware_loads_the_model() -> None:
    board = FakeBoard(1, IMAGE)

    def stop(step: str, done: int, total: int) -> None:
        if step == "load":
            board.start(after=float("inf"))

    with pytest.raises(LinkError, match="unplugged") as error:
        flash(None, MODEL, ports=FakePorts(board), progress=stop)
    assert str(error.value.hint).startswith("if it was unplugged, plug it in; repeat the command")
    assert "reset button twice" in str(error.value.hint)
