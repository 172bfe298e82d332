"""Writes a firmware image and a model into a board and proves that they are there: the engine of `onnxino flash`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from onnxino.errors import InputError, LinkError
from onnxino_tools import ui
from onnxino_tools.boards import DOUBLE_TAP
from onnxino_tools.flasher import plan
from onnxino_tools.flasher.content import Content, Source, read_content
from onnxino_tools.flasher.ports import Ports, SystemPorts
from onnxino_tools.flasher.proof import DiffersError, check_image_runs, check_model_runs, is_onnxino, too_old
from onnxino_tools.flasher.sam_ba import PAGE, BootloaderError, SamBa
from onnxino_tools.flasher.target import AGAIN, WAIT, Target
from onnxino_tools.link import DeviceError, DeviceLink
from onnxino_tools.protocol import Hello, Transport

METHODS = ("bootloader", "pyocd")
Progress = Callable[[str, int, int], None]
"""Called with (step, done, in all). Steps: connect, compare, write, verify, start, and load (model, over the firmware's
protocol). Units are pages, or bytes for load; connect and start have 1."""

RESUMES = 5  # times that a board may disappear while it is written
REWRITES = 3  # times that a page may be found wrong after it was written


@dataclass
class FlashResult:
    """What was done. `image` and `model` say: "written", "unchanged", or "" for not asked for."""

    port: str = ""
    method: str = ""  # "bootloader", "application" (only the model, by the firmware's own protocol) or "pyocd"
    chip: str = ""  # 16 digits, from the firmware; "" where it does not answer
    image: str = ""
    model: str = ""
    pages: int = 0  # of image and model
    pages_compared: int = 0  # before writing: CRC-16 of both halves; the others were written without looking
    pages_written: int = 0
    pages_verified: int = 0  # after writing, once more: CRC-16 of both halves (over a probe: byte for byte)
    resumed: int = 0  # times that the board disappeared and came back meanwhile
    retries: int = 0
    seconds: float = 0.0
    image_sha256: str = ""
    hello: Hello | None = None  # of the firmware afterwards; None where another firmware was flashed
    warnings: list[str] = field(default_factory=list[str])

    def as_json(self) -> dict[str, object]:
        """Under the keys that scripts rely on."""
        hello = self.hello
        return {
            "ok": True,
            "port": self.port,
            "method": self.method,
            "chip": self.chip or None,
            "image": self.image or None,
            "image_sha256": self.image_sha256 or None,
            "model": self.model or None,
            "pages": self.pages,
            "pages_compared": self.pages_compared,
            "pages_written": self.pages_written,
            "pages_verified": self.pages_verified,
            "resumed": self.resumed,
            "retries": self.retries,
            "seconds": round(self.seconds, 3),
            "firmware_version": None if hello is None else hello.firmware_version,
            "protocol_version": None if hello is None else hello.protocol_version,
            "bootloader": None if hello is None else hello.bootloader,
            "model_name": hello.model_name if hello is not None and hello.model_valid else None,
            "model_crc": hello.model_crc if hello is not None and hello.model_valid else None,
            "warnings": self.warnings,
        }


def flash(
    image: Source | None = None,
    model: Source | None = None,
    *,
    port: str | None = None,
    method: str | None = None,
    verify: bool = True,
    progress: Progress | None = None,
    ports: Ports | None = None,
    wait: float = WAIT,
) -> FlashResult:
    """Writes an image, a model (.oxm, or .onnx to convert) or both; paths or bytes. With neither, the firmware that
    came with Onnxino.

    port: the board's serial port; None: the only board that is connected. method: None chooses; "bootloader" never
    loads through the firmware; "pyocd" uses a debug probe. verify: reads all pages once more at the end.
    Where only a model is given, the firmware stays if it runs the model, else it is replaced by Onnxino's own.
    port "emulator": an emulated board that is gone afterwards. An interrupted call does no harm: the next one finds
    what is left to do.

    Raises InputError, ModelError or ConvertError for what is given, LinkError for the board, MissingExtraError.
    """
    if method not in (None, *METHODS):
        raise InputError(f"there is no method '{method}'", f"known: {', '.join(METHODS)}")
    started = time.monotonic()
    with ui.silence():
        content = read_content(image, model)
    if content.image is None and content.model is None:
        content = with_own_firmware(content)
    report = progress or _silent
    if method == "pyocd":
        from onnxino_tools.flasher.probe import flash_by_probe

        result = flash_by_probe(content if content.image is not None else with_own_firmware(content), report)
    elif port == "emulator" and ports is None:
        from onnxino_tools.devices import need_emulator

        need_emulator()
        from onnxino_tools.flasher.emulated import EmulatedPorts

        with EmulatedPorts() as emulated:
            result = Flasher(emulated, content, verify, report, wait).run(None, method)
    else:
        result = Flasher(ports or SystemPorts(), content, verify, report, wait).run(port, method)
    result.warnings += content.notes
    result.seconds = time.monotonic() - started
    return result


def _silent(step: str, done: int, total: int) -> None:
    """No progress is wanted."""


def with_own_firmware(content: Content) -> Content:
    """The same with the image that came with Onnxino."""
    from onnxino_tools.build import firmware_image

    return Content(firmware_image(), content.model, "Onnxino's firmware", content.model_name, content.notes)


@dataclass
class Flasher:
    """One call of `flash`."""

    ports: Ports
    content: Content
    verify: bool
    progress: Progress
    wait: float = WAIT
    result: FlashResult = field(default_factory=FlashResult)
    _before: str = ""  # the chip's number by the firmware that answered at first
    _everything: bool = False  # write all pages, whatever their checksums are

    def run(self, port: str | None, method: str | None) -> FlashResult:
        """See `flash`."""
        self.progress("connect", 0, 1)
        target = Target(self.ports, port, self.wait)
        target.await_port()
        boot = target.bootloader(patient=False)
        found = None if boot is not None else target.application()
        if found is not None:
            link, hello = found
            with link:
                self._before = hello.device_id
                done = self._through_the_firmware(link, hello, method)
            if done:
                self.progress("connect", 1, 1)
                self.result.port = target.port
                return self.result
        elif self.content.image is None:
            self.content = with_own_firmware(self.content)
        if boot is None:
            boot = target.start_bootloader(asked=True)
        self.progress("connect", 1, 1)
        self.result.method = "bootloader"
        boot = self._write_all(target, boot)
        try:
            self._finish(target, boot)
        except DiffersError:
            # Pages that differ, and have the same CRC-16 nevertheless: none is believed any more.
            self._everything = True
            boot = self._write_all(target, target.start_bootloader())
            self._finish(target, boot)
        self.result.port = target.port
        return self.result

    # ------------------------------------------------------------------ the firmware's own protocol

    def _through_the_firmware(self, link: DeviceLink, hello: Hello, method: str | None) -> bool:
        """Whether nothing is left to do for the bootloader. Raises LinkError where that cannot be reached."""
        image, model = self.content.image, self.content.model
        if method is None and (image is None or self._has_image(link, hello, image)):
            self.result.method = "application"
            if model is None:
                self._note(link, hello)
                return True
            if self._load(link, model):
                return True
        if hello.transport == Transport.UART:
            raise LinkError(
                f"{link.transport.name} leads to the board's UART, through which only a model can be loaded",
                "connect the board by USB to change its firmware",
            )
        return False

    def _has_image(self, link: DeviceLink, hello: Hello, image: bytes) -> bool:
        """Whether the firmware that answers is this image already, by the CRC-32 that it makes of its flash now."""
        try:
            check_image_runs(link, hello, image)
        except (DeviceError, DiffersError):
            return False
        self.result.image, self.result.image_sha256 = "unchanged", hashlib.sha256(image).hexdigest()
        return True

    def _load(self, link: DeviceLink, model: bytes) -> bool:
        """Whether the firmware has the model now; False when it is too old for it."""
        result = self.result
        try:
            if link.has_model(model):
                result.model = "unchanged"
            else:
                link.load_model(model, lambda done, total: self.progress("load", done, total))
                result.model = "written"
            self._note(link, link.hello())
        except DeviceError as error:
            if too_old(error) and self.content.image is None:
                self.content = with_own_firmware(self.content)
                return False
            raise
        except LinkError as error:
            error.hint = f"{AGAIN}; or {DOUBLE_TAP}, and repeat it then"
            raise
        finally:
            result.retries += link.retries
        return True

    # ------------------------------------------------------------------ the bootloader

    def _write_all(self, target: Target, boot: SamBa) -> SamBa:
        """Writes and verifies all pages; a board that disappears meanwhile may come back. Returns the bootloader."""
        for attempt in range(RESUMES + 1):
            try:
                self._write_pages(boot)
                return boot
            except LinkError as error:
                boot.close()
                if attempt == RESUMES or isinstance(error, _FlashWornError):
                    raise
                self.result.resumed += 1
                boot = target.start_bootloader()
            finally:
                self.result.retries += boot.retries
                boot.retries = 0
        raise AssertionError("unreachable")

    def _write_pages(self, boot: SamBa) -> None:
        result, image = self.result, self.content.image
        wanted = plan.pages(image, self.content.model)
        image_end = 0 if image is None else len(image)
        total = result.pages = len(wanted)
        different = self._different(boot, wanted, image_end)
        image_changes = any(offset < image_end for offset in different)
        if image is not None:
            result.image = "written" if image_changes or result.image == "written" else "unchanged"
        if self.content.model is not None:
            changes = any(offset >= plan.MODEL_OFFSET for offset in different)
            result.model = "written" if changes or result.model == "written" else "unchanged"
        number = len(different) + (image_changes and 0 not in different)
        done: set[int] = set()
        for write in plan.writes(wanted, different, image_end):
            self._write(boot, write, wanted)
            if write.data is not plan.BLANK:
                done.add(write.offset // PAGE)
            self.progress("write", len(done), number)
        result.pages_written += len(done)
        if self.verify:
            left = plan.differing(wanted, boot.crc, lambda n: self.progress("verify", n, total))
            if left:
                raise BootloaderError(f"{len(left)} pages of flash do not hold what was written")
            result.pages_verified = total

    def _different(self, boot: SamBa, wanted: dict[int, bytes], image_end: int) -> set[int]:
        """Offsets of the pages to write.

        Different pages may have equal CRC-16. Onnxino's firmware tells the CRC-32 of image and model afterwards; a
        foreign image tells nothing, so all of it is written. So is an image of which all pages seem to be there, and
        which did not answer all the same.
        """
        image = self.content.image
        if self._everything or (image is not None and not is_onnxino(image)):
            return set(wanted)
        total = len(wanted)
        different = plan.differing(wanted, boot.crc, lambda n: self.progress("compare", n, total))
        self.result.pages_compared = total
        if not self._before and image_end and not any(offset < image_end for offset in different):
            different |= {offset for offset in wanted if offset < image_end}
        return different

    def _write(self, boot: SamBa, write: plan.Write, wanted: dict[int, bytes]) -> None:
        """Writes until flash holds it. Raises BootloaderError."""
        whole = len(write.data) == PAGE
        if write.data is plan.BLANK and plan.is_same(write.offset, write.data, boot.crc):
            return  # page 0 that is erased already
        for _ in range(REWRITES):
            boot.write(write.offset, write.data)
            if _holds(boot, write):
                return
            if not whole:
                # This bootloader writes whole pages only, or the page was not erased: less safe against a cut.
                write = plan.Write(0, wanted[0], final=True)
                whole = True
        raise _FlashWornError(
            f"the flash at 0x{0x10000 + write.offset:X} does not hold what was written, {REWRITES} times: the line to "
            "the board changes bytes, or the flash is worn out",
            "repeat the command, with another cable or USB port; the line fails here and there, worn flash always at "
            "the same address",
        )

    # ------------------------------------------------------------------ afterwards

    def _finish(self, target: Target, boot: SamBa) -> None:
        """Starts the application and compares what it says of itself."""
        image = self.content.image
        self.progress("start", 0, 1)
        if image is not None:
            self.result.image_sha256 = hashlib.sha256(image).hexdigest()
        if image is not None and not is_onnxino(image):
            target.leave(boot)  # a sketch: nothing is known about how it would answer
            self.result.warnings += target.missing_application()
            self.progress("start", 1, 1)
            return
        link, hello = target.start_application(boot)
        with link:
            if self._before not in ("", hello.device_id):
                raise LinkError(
                    f"another board answers now: chip {hello.device_id}; it was {self._before} before",
                    "leave only the one to flash connected, and repeat the command",
                )
            if image is not None:
                check_image_runs(link, hello, image)
            if self.content.model is not None:
                check_model_runs(link, self.content.model)
            self._note(link, link.hello())
        self.progress("start", 1, 1)

    def _note(self, link: DeviceLink, hello: Hello) -> None:
        self.result.hello = hello
        self.result.chip = hello.device_id


class _FlashWornError(BootloaderError):
    """Writing again does not help."""


def _holds(boot: SamBa, write: plan.Write) -> bool:
    """By checksums over the two halves of what was written."""
    from onnxino_tools.flasher.sam_ba import crc16

    middle = max(len(write.data) // 8 * 4, 4)
    parts = [part for part in ((0, middle), (middle, len(write.data))) if part[0] < part[1]]
    return all(boot.crc(write.offset + a, b - a) == crc16(write.data[a:b]) for a, b in parts)
