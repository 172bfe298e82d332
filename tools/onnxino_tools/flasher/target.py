"""The one board that is flashed, whatever its port is called at the moment and whatever runs on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnxino.errors import LinkError
from onnxino_tools.boards import DOUBLE_TAP, ConnectedBoard, only_board
from onnxino_tools.flasher.ports import Ports, same_port
from onnxino_tools.flasher.sam_ba import SamBa
from onnxino_tools.link import RETRIES, TIMEOUT, DeviceLink
from onnxino_tools.transport import PortMissingError

if TYPE_CHECKING:
    from onnxino_tools.protocol import Hello

WAIT = 10.0  # seconds until a board must be back after a reset
TOUCH_AGAIN = 4.0  # seconds after which an application that did not react is touched once more
APPEARS = 2.0  # seconds that a board may take to appear when it was not there at the begin
AFTER_TOUCH = 0.8  # seconds; the bootloader itself needs half a second before anything answers
_LOOK = 0.1  # seconds between two looks at the ports
_LOOK_UNKNOWN = 1.0  # the same where it is not sure that there is a board
_FLUSH_AFTER = 3.0  # seconds until a port that may be no board's is believed to be a bootloader that waits for data
_FOREIGN = 5.0  # seconds that a sketch may take until its USB port is there
_HELLO_TIMEOUT = 0.3
CABLE = "A cable that is loose, or too long, does this too"
AGAIN = "if it was unplugged, plug it in; repeat the command, which goes on where it stopped"


class _OtherBoardError(LinkError):
    """Waiting does not help."""


class Target:
    """A board that is told from others by the chip's number in its USB serial number, or by its port's name alone.

    Raises LinkError when there is no board, or several and no `port` that chooses one.
    """

    def __init__(self, ports: Ports, port: str | None, wait: float = WAIT) -> None:
        self.ports = ports
        self.wait = wait
        self.port, self.chip, self.has_ids = str(port), "", False
        self.answered = False  # Onnxino's firmware, since the begin
        if port is None:
            self._take(self._only())
        else:
            self._identify()

    def await_port(self) -> None:
        """A port that was named, and that is missing just because its board restarts, may take a moment to appear.

        Raises LinkError where it cannot be opened.
        """
        deadline = self.ports.now() + APPEARS
        while not self.has_ids:
            try:
                self.ports.open(self.port).close()
                self._identify()  # its ids came with it
                return
            except PortMissingError:
                if self.ports.now() > deadline:
                    raise
                self.ports.sleep(_LOOK)

    def _only(self) -> ConnectedBoard:
        """The only board; one that is just starting may take a moment to appear."""
        deadline = self.ports.now() + APPEARS
        while not (boards := self.ports.boards()) and self.ports.now() < deadline:
            self.ports.sleep(_LOOK)
        return only_board(boards)

    def _identify(self) -> None:
        board = None if self.has_ids else self._known(self.port)
        if board is not None:
            self._take(board)

    def _take(self, board: ConnectedBoard) -> None:
        self.port, self.chip, self.has_ids = board.port, board.chip, True

    def _known(self, port: str) -> ConnectedBoard | None:
        return next((board for board in self.ports.boards() if same_port(board.port, port)), None)

    # ------------------------------------------------------------------ what is there now

    def where(self) -> tuple[str, str] | None:
        """(port, mode) of the board at this moment; mode is "unknown" for a port without USB ids."""
        if not self.has_ids:
            return self.port, "unknown"
        boards = self.ports.boards()
        mine = [b for b in boards if b.chip == self.chip] if self.chip else boards
        if len(mine) > 1:  # boards without serial numbers: only the name is left
            mine = [b for b in mine if same_port(b.port, self.port)]
        if not mine:
            return None
        self.port = mine[0].port
        return mine[0].port, mine[0].mode

    def bootloader(self, *, patient: bool = True) -> SamBa | None:
        """The bootloader, if it runs now; None when something else, or nothing, answers. Raises LinkError."""
        place = self.where()
        if place is None or place[1] == "application":
            return None
        boot = SamBa(self.ports.open(place[0]))
        try:
            if boot.greet(patient=patient):
                boot.connect()
                return boot
        except BaseException:
            boot.close()
            raise
        boot.close()
        return None

    def application(self) -> tuple[DeviceLink, Hello] | None:
        """Onnxino's firmware, if it runs now. Raises LinkError when the port cannot be opened, and from its hello."""
        place = self.where()
        if place is None or place[1] == "bootloader":
            return None
        # What has no USB ids may be no board at all: it gets no more than it must.
        retries = 2 if self.has_ids or self.answered else 1
        link = DeviceLink(self.ports.open(place[0]), timeout=_HELLO_TIMEOUT, retries=retries)
        try:
            hello = link.hello()
        except LinkError:
            link.close()
            return None
        except BaseException:
            link.close()
            raise
        self.answered = True
        link.timeout, link.max_retries = TIMEOUT, RETRIES
        return link, hello

    # ------------------------------------------------------------------ changes

    def start_bootloader(self, *, asked: bool = False) -> SamBa:
        """Touches the application until the bootloader answers, `wait` seconds at most. Raises LinkError.

        asked: it is known that no bootloader answers now. A board that is unplugged meanwhile may come back, as either
        of the two.
        """
        ports = self.ports
        start = ports.now()
        touched: float | None = None
        flushed, error = False, None
        while True:
            place = self.where()
            try:
                if not asked:
                    # The end of a page of data that a bootloader may wait for is sent once only: it may be no board.
                    sure = place is not None and place[1] == "bootloader"
                    patient = not flushed and ports.now() - start > (0 if sure else _FLUSH_AFTER)
                    boot = self._checked_bootloader(touched is not None, patient)
                    if boot is not None:
                        return boot
                    flushed = flushed or (patient and place is not None and place[1] != "application")
                asked = False
                again = self.has_ids or self.answered
                due = touched is None or (again and ports.now() - touched > TOUCH_AGAIN)
                if place is not None and place[1] != "bootloader" and due:
                    self._identify()
                    ports.touch(self.port)
                    touched = ports.now()
                    # Who opens the port now takes the touch back: the application wants it closed for 200 ms.
                    ports.sleep(AFTER_TOUCH)
            except _OtherBoardError:
                raise
            except LinkError as e:  # it is just going or coming, or its permissions are not set yet
                error = e
            if ports.now() - start > self.wait:
                raise self._no_bootloader(error)
            ports.sleep(_LOOK if self.has_ids or self.answered else _LOOK_UNKNOWN)

    def _checked_bootloader(self, touched: bool, patient: bool) -> SamBa | None:
        """`bootloader`, but never that of a board that was not the one touched."""
        if touched and not self.has_ids and self._known(self.port) is not None:
            raise _OtherBoardError(f"another board has the name {self.port} now", AGAIN)
        return self.bootloader(patient=patient)

    def _no_bootloader(self, error: LinkError | None) -> LinkError:
        missing = isinstance(error, PortMissingError) if not self.has_ids else self.where() is None
        if missing:
            return LinkError(
                f"the board at {self.port} did not come back within {self.wait:g} s",
                f"{AGAIN}; or {DOUBLE_TAP}. {CABLE}",
            )
        reason = f" ({error.message})" if error is not None else ""
        hint = f"{DOUBLE_TAP}, then try again"
        if not self.has_ids:
            hint += ". The bootloader speaks USB only: through the board's pins D0 and D1 (UART) it cannot be reached"
        return LinkError(
            f"the bootloader of the board at {self.port} did not answer within {self.wait:g} s{reason}", hint
        )

    def missing_application(self) -> list[str]:
        """Waits for the port of a foreign application. What there is to say where it does not come."""
        deadline = self.ports.now() + min(_FOREIGN, self.wait)
        place = None
        while self.ports.now() < deadline:
            self.ports.sleep(_LOOK)
            place = self.where()
            if place is not None and place[1] != "bootloader" and (self.has_ids or self._opens()):
                return []
        if place is not None and place[1] == "bootloader":
            return ["the board went back to its bootloader: this image does not start"]
        return [
            f"the board's USB port did not come back within {min(_FOREIGN, self.wait):g} s: the image has no USB, or "
            f"it is damaged. To flash another one: {DOUBLE_TAP}"
        ]

    def _opens(self) -> bool:
        try:
            self.ports.open(self.port).close()
        except LinkError:
            return False
        return True

    def start_application(self, boot: SamBa) -> tuple[DeviceLink, Hello]:
        """Ends the bootloader and waits for the firmware's hello. Closes `boot`. Raises LinkError."""
        self.leave(boot)
        deadline = self.ports.now() + self.wait
        error: LinkError | None = None
        while self.ports.now() < deadline:
            self.ports.sleep(_LOOK)
            try:
                found = self.application()
                if found is not None:
                    return found
            except LinkError as e:
                error = e
        reason = f" ({error.message})" if error is not None else ""
        raise LinkError(
            f"the firmware was written, but did not answer within {self.wait:g} s of its start{reason}",
            f"press the reset button once, or unplug the board and plug it in; if that does not help: {DOUBLE_TAP}, "
            "and repeat the command",
        )

    def leave(self, boot: SamBa) -> None:
        """Ends the bootloader and closes it."""
        try:
            boot.reset()
        finally:
            boot.close()
