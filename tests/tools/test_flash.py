"""flash: what is written, in which order, and what happens when the board or the program dies in the middle."""

from __future__ import annotations

import random
import struct

import pytest

from onnxino.errors import InputError, LinkError
from onnxino.schema.codec import encode
from onnxino_tools.boards import ConnectedBoard
from onnxino_tools.build import firmware_image
from onnxino_tools.flasher import FlashResult, flash, plan
from onnxino_tools.flasher.sam_ba import PAGE, REGION, SamBa, crc16
from onnxino_tools.image_mark import seal
from tests.tools.fake_board import Cut, FakeBoard, FakePorts
from tests.tools.models import tiny_model

IMAGE = firmware_image()
MODEL = encode(tiny_model())


def holds(board: FakeBoard, image: bytes = IMAGE, model: bytes | None = MODEL) -> bool:
    at = 0x10000
    same = board.flash[at : at + len(image)] == image
    return same and (model is None or board.flash[0x40000 : 0x40000 + len(model)] == model)


def old_image() -> bytes:
    """Another firmware that starts: differs in many pages."""
    return IMAGE[:8] + bytes(b ^ (i // 5000 & 1) for i, b in enumerate(IMAGE[8:]))


def run(board: FakeBoard, *args: object, ids: bool = True, renames: bool = False, **options: object) -> FlashResult:
    ports = FakePorts(board, ids=ids, renames=renames)
    if not ids:
        options.setdefault("port", ports.name)
    board.image = IMAGE
    return flash(*args, ports=ports, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("ids", [True, False], ids=["usb ids", "name only"])
@pytest.mark.parametrize("before", ["empty", "old", "half"])
def test_image_and_model(generation: int, ids: bool, before: str) -> None:
    board = FakeBoard(generation, old_image() if before == "old" else b"")
    if before == "half":
        board.flash[0x10000 + 8 : 0x10000 + 20_000] = IMAGE[8:20_000]
    board.image = IMAGE
    board.start()
    result = run(board, None, MODEL, ids=ids)
    assert holds(board)
    assert (result.method, result.image, result.model, result.chip) == (
        "bootloader",
        "written",
        "written",
        "0706050403020100",
    )
    pages = -(-len(IMAGE) // PAGE) + -(-len(MODEL) // PAGE)
    assert (result.pages_compared, result.pages_verified) == (pages, pages)
    assert result.pages_written <= pages
    assert board.mode == "application"


def test_nothing_given_writes_the_own_firmware() -> None:
    board = FakeBoard()
    result = run(board)
    assert holds(board, model=None)
    assert (result.image, result.model) == ("written", "")


def test_only_pages_that_differ_are_written() -> None:
    board = FakeBoard(1, IMAGE)
    board.flash[0x10000 + 3 * PAGE + 7] ^= 1
    board.start()
    result = run(board, IMAGE, MODEL, method="bootloader")
    assert result.pages_written == 3  # page 3, page 0, the model's
    at = [address for address, _ in board.writes]
    # Page 0 is erased first and written last, its vectors after the rest of it.
    assert at == [0x10000, 0x13000, 0x40000, 0x10008, 0x10000]
    assert board.writes[-1] == (0x10000, 8)
    assert run(board, IMAGE, MODEL, method="bootloader").pages_written == 0
    assert len(board.writes) == 5


def test_a_model_goes_through_the_firmware() -> None:
    board = FakeBoard(1, IMAGE)
    steps: list[str] = []
    result = run(board, None, MODEL, progress=lambda step, done, total: steps.append(step))
    assert (result.method, result.model, board.writes) == ("application", "written", [])
    assert "load" in steps
    assert holds(board)
    assert run(board, None, MODEL).model == "unchanged"


def test_a_model_over_the_bootloader_leaves_the_firmware_as_it_is() -> None:
    board = FakeBoard(1, IMAGE)
    result = run(board, None, MODEL, method="bootloader")
    assert (result.method, result.image, result.model) == ("bootloader", "", "written")
    assert [at for at, _ in board.writes] == [0x40000]


def test_an_old_firmware_is_updated_when_the_model_needs_it() -> None:
    board = FakeBoard(2, IMAGE)
    board.too_old = True
    result = run(board, None, MODEL)
    assert (result.method, result.image, result.model) == ("bootloader", "unchanged", "written")
    assert holds(board)


def test_a_board_without_usb_takes_only_a_model() -> None:
    board = FakeBoard(1, IMAGE)
    board.transport = 0
    assert run(board, None, MODEL, ids=False).model == "written"
    with pytest.raises(LinkError, match="leads to the board's UART"):
        run(board, seal(old_image()), ids=False)


def test_names_that_change() -> None:
    board = FakeBoard(1, old_image())
    result = run(board, renames=True)
    assert result.port == f"COM{3 + board.epoch}"
    assert board.epoch == 3  # application, bootloader, application


def test_another_board_is_left_alone() -> None:
    board = FakeBoard(1, old_image())
    ports = FakePorts(board, renames=True)
    board.image = IMAGE
    ports.others = [ConnectedBoard("COM99", "bootloader", 0x005A, "0" * 16 + "1111222233334444")]
    with pytest.raises(LinkError, match="2 boards are connected: COM4"):
        flash(ports=ports)
    flash(ports=ports, port="COM4")
    assert holds(board, model=None)


def test_no_board() -> None:
    ports = FakePorts(FakeBoard())
    ports.ids = False
    with pytest.raises(LinkError, match="no board was found") as error:
        flash(ports=ports)
    assert "reset button twice" in str(error.value.hint)


@pytest.mark.parametrize("ids", [True, False])
def test_an_application_that_does_not_react(ids: bool) -> None:
    board = FakeBoard(1, old_image())
    board.touches = False
    board.start()
    with pytest.raises(LinkError, match=r"bootloader of the board at .* did not answer within 10 s") as error:
        run(board, IMAGE, ids=ids)
    assert "reset button twice" in str(error.value.hint)


def test_an_image_that_does_not_come_up() -> None:
    board = FakeBoard()
    ports = FakePorts(board)
    board.image = IMAGE[:-1]
    with pytest.raises(LinkError, match="is not the image that was written: CRC-32"):
        flash(IMAGE, ports=ports)
    board.image = old_image()
    with pytest.raises(LinkError, match="did not answer within 10 s of its start"):
        flash(IMAGE, ports=ports, method="bootloader")


@pytest.mark.parametrize("generation", [1, 2])
def test_killed_at_any_moment(generation: int) -> None:
    """After a cut before, in the middle of and after each write: the bootloader stays or the application is whole."""
    for number in range(40):
        board = FakeBoard(generation, old_image())
        board.start()

        def cut(count: int, number: int = number) -> None:
            if count == number:
                raise Cut

        board.before_write = cut
        try:
            run(board, IMAGE, MODEL)
            assert number > 15
            break
        except Cut:
            pass
        board.before_write = lambda count: None
        board.start()  # a reset: nothing half-written is started
        assert board.mode == "bootloader" or not board.writes or board.flash[0x10000 : 0x10000 + len(IMAGE)] == IMAGE
        run(board, IMAGE, MODEL)
        assert holds(board)
    else:
        raise AssertionError("never came to its end")


def test_killed_in_the_middle_of_a_page_of_data() -> None:
    """The bootloader still waits for the rest of a page: the next call frees it."""
    for rest in (1, 63, 64, 4000, 4095, 4096):
        board = FakeBoard(1)
        board.boot.feed(b"S00000000,00001000#" + bytes(4096 - rest))
        assert board.boot.next() is None
        run(board, IMAGE, MODEL)
        assert holds(board)


@pytest.mark.parametrize("command", [b"Y00012000", b"Z0001", b"S", b"Y", b"V"])
def test_killed_in_the_middle_of_a_command(command: bytes) -> None:
    board = FakeBoard(1)
    board.boot.feed(command)
    run(board, IMAGE, MODEL)
    assert holds(board)


def test_unplugged_in_the_middle() -> None:
    board = FakeBoard(2, old_image())
    ports = FakePorts(board, renames=True)

    def unplug(count: int) -> None:
        if count in (0, 3, 9):
            board.before_write = unplug if count < 9 else lambda count: None
            board.writes.append((0x10000, 0))
            board.start(after=board.time + 2.0)
            raise LinkError("unplugged")

    board.image = IMAGE
    board.before_write = unplug
    result = flash(IMAGE, MODEL, ports=ports)
    assert result.resumed == 3
    assert holds(board)


def test_unplugged_for_good() -> None:
    board = FakeBoard()
    ports = FakePorts(board)

    def unplug(count: int) -> None:
        board.start(after=float("inf"))
        raise LinkError("unplugged")

    board.before_write = unplug
    with pytest.raises(LinkError, match="did not come back within 10 s") as error:
        flash(IMAGE, ports=ports)
    assert "cable" in str(error.value.hint)


def test_flash_that_is_worn_out() -> None:
    board = FakeBoard()
    ports = FakePorts(board)
    write = board.write

    def worn(action: object) -> None:
        write(action)  # type: ignore[arg-type]
        board.flash[0x12345] = 0

    board.write = worn  # type: ignore[method-assign,assignment]
    with pytest.raises(LinkError, match=r"the flash at 0x12000 does not hold what was written, 3 times"):
        flash(IMAGE, ports=ports)


def test_checksum() -> None:
    assert crc16(b"123456789") == 0x31C3
    assert crc16(b"\xff" * 4096) == 0xE03E


@pytest.mark.parametrize(("offset", "size"), [(REGION, 4), (REGION - 4, 8), (-4, 4), (0xFFFF0000, 4096), (0, 0)])
def test_nothing_outside_of_the_region_is_sent(offset: int, size: int) -> None:
    class Silent:
        name = "silent"

        def write(self, data: bytes) -> None:
            raise AssertionError(data)

    boot = SamBa(Silent())  # type: ignore[arg-type]
    for call in (lambda: boot.crc(offset, size), lambda: boot.write(offset, bytes(size))):
        with pytest.raises(InputError, match="lie outside of the application's flash"):
            call()


def _vectors(stack: int, reset: int, size: int = 4096) -> bytes:
    return struct.pack("<II", stack, reset) + bytes(size - 8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x00\x00\x04\x20", "has 4 bytes, too few"),
        (b"\x7fELF\x01\x01\x01" + bytes(100), "is an ELF file, no image"),
        (MODEL, r"is a model \(.oxm\), no image"),
        (b":020000040001F9\r\n", "is an Intel HEX file"),
        (b"UF2\nabcd", "is a UF2 file"),
        (b"PK\x03\x04aaaa", "is a ZIP archive"),
        (b"\x08\x07\x12\x04onnx" + bytes(100), "is an ONNX model"),
        (_vectors(0x12345678, 0x10101), "first word 0x12345678 is no address in its RAM"),
        (_vectors(0x20040004, 0x10101), "first word 0x20040004"),
        (_vectors(0x20000000, 0x10101), "first word 0x20000000"),
        (IMAGE[:-1], f"image of Onnxino that is truncated: {len(IMAGE) - 1:,} of {len(IMAGE):,} bytes"),
        (IMAGE + b"a", f"image of Onnxino that is too long: {len(IMAGE) + 1:,} of"),
        (IMAGE[:5000] + b"abc" + IMAGE[5003:], "image of Onnxino that is damaged: CRC-32 0x"),
        (IMAGE[:0x104] + b"\2" + IMAGE[0x105:], "image of Onnxino of format 2; this is format 1"),
        (_vectors(0x20040000, 0x101), "is linked for another place: its reset vector 0x00000101"),
        (_vectors(0x20040000, 0x26101), "is linked for another place"),
        (_vectors(0x20040000, 0x10100), "is linked for another place"),
        (_vectors(0x20040000, 0x10101, REGION + 1), "has 851,969 bytes; 851,968 fit"),
    ],
)
def test_wrong_images_are_refused(data: bytes, message: str) -> None:
    board = FakeBoard()
    with pytest.raises(InputError, match=message) as error:
        run(board, data)
    assert error.value.hint
    assert board.writes == []


def test_a_sketch_can_be_flashed_back() -> None:
    board = FakeBoard(2, IMAGE)
    sketch = _vectors(0x20040000, 0x10201, 300_000)
    result = run(board, sketch)
    assert board.flash[0x10000 : 0x10000 + len(sketch)] == sketch
    assert (result.image, result.hello) == ("written", None)
    with pytest.raises(InputError, match="reaches into the model's place"):
        run(board, sketch, MODEL)


def test_order_of_pages() -> None:
    wanted = plan.pages(bytes(5 * PAGE), bytes(2 * PAGE))
    order = [(w.offset, len(w.data)) for w in plan.writes(wanted, set(wanted), 5 * PAGE)]
    assert order[0] == (0, PAGE)
    assert order[-2:] == [(8, PAGE - 8), (0, 8)]
    assert [at for at, _ in order[1:-2]] == [PAGE, 2 * PAGE, 3 * PAGE, 4 * PAGE, 0x30000, 0x31000]
    assert [w.offset for w in plan.writes(wanted, {0x30000}, 5 * PAGE)] == [0x30000]


def test_methods() -> None:
    with pytest.raises(InputError, match="there is no method 'magic'"):
        run(FakeBoard(), method="magic")


def test_random_garbage_before_does_no_harm() -> None:
    rng = random.Random(1)
    for _ in range(5):
        board = FakeBoard(1)
        garbage = bytes(rng.randrange(256) for _ in range(50)).replace(b"#", b"")
        board.boot.feed(garbage)
        run(board, IMAGE, MODEL)
        assert holds(board)
