"""A device that may be unplugged or reset, and comes back, even behind another port name."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from onnxino.errors import LinkError

if TYPE_CHECKING:
    from onnxino_tools.link import DeviceLink

WAIT = 10.0  # seconds until a device must be back
_LOOK = 0.1
_HELLO_TIMEOUT = 0.25


class Clock(Protocol):
    """The time in which the device lives; the emulator in this process has its own."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class _WallClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class _OtherDeviceError(LinkError):
    """Waiting does not help."""


class Connection:
    """`link` is the present link. Its counters begin anew with each: those here go on.

    reopen: opens the device anew, or raises LinkError; None where it cannot come back. model: the .oxm file that the
    device must then still hold. `longest`: seconds that the slowest return took.
    """

    def __init__(
        self,
        link: DeviceLink,
        reopen: Callable[[], DeviceLink] | None = None,
        model: bytes | None = None,
        wait: float = WAIT,
        clock: Clock | None = None,
    ) -> None:
        self.link = link
        self.model = model
        self.wait = wait
        self.reconnects = 0
        self.longest = 0.0
        self._reopen = reopen
        self._clock = clock or _WallClock()
        self._device_id: str | None = None
        self._recovered = self._retries = 0

    @property
    def errors_recovered(self) -> int:
        """Requests that were answered after a repetition, and reconnections."""
        return self._recovered + self.link.errors_recovered + self.reconnects

    @property
    def retries(self) -> int:
        """Requests that were sent again."""
        return self._retries + self.link.retries

    def know(self) -> str:
        """The chip's number, by which the device is known again."""
        if self._device_id is None:
            self._device_id = self.link.hello().device_id
        return self._device_id

    def again(self, error: LinkError) -> None:
        """Waits until the device is back. Raises LinkError when it is not, when it is another or has another
        model."""
        if self._reopen is None:
            raise error
        start = self._clock.now()
        self._recovered += self.link.errors_recovered
        self._retries += self.link.retries
        self.link.close()
        while True:
            link = self._try()
            if link is not None:
                break
            if self._clock.now() - start > self.wait:
                self._recovered -= self.link.errors_recovered
                self._retries -= self.link.retries
                raise LinkError(
                    f"{error.message}; it did not come back within {self.wait:g} s",
                    "plug it in, wait until onnxino boards lists it, and start again; --reconnect 60 waits longer",
                ) from error
            self._clock.sleep(_LOOK)
        self.link = link
        self.reconnects += 1
        self.longest = max(self.longest, self._clock.now() - start)

    def _try(self) -> DeviceLink | None:
        """The link to the device, if it is back; it may go again at any moment."""
        assert self._reopen is not None
        try:
            link = self._reopen()
        except LinkError:
            return None
        timeout, link.timeout = link.timeout, _HELLO_TIMEOUT
        try:
            self._check(link)
        except _OtherDeviceError:
            link.close()
            raise
        except LinkError:
            link.close()
            return None
        finally:
            link.timeout = timeout
        return link

    def _check(self, link: DeviceLink) -> None:
        found = link.hello().device_id
        if self._device_id is not None and found != self._device_id:
            raise _OtherDeviceError(f"another board answers now: chip {found}, it was {self._device_id}")
        if self.model is not None and not link.has_model(self.model):
            raise _OtherDeviceError("the board is back, but holds another model now", "start again: it is loaded then")

    def close(self) -> None:
        """Frees the port."""
        self.link.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
