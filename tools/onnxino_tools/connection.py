"""A device that may be unplugged or reset, and comes back, even behind another port name."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from onnxino.errors import LinkError

if TYPE_CHECKING:
    from onnxino_tools.link import DeviceLink

WAIT = 10.0  # seconds until a device must be back
_LOOK = 0.1
_HELLO_TIMEOUT = 0.25


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
    ) -> None:
        self.link = link
        self.model = model
        self.wait = wait
        self.reconnects = 0
        self.longest = 0.0
        self._reopen = reopen
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
        """Waits until the device is back. Raises `error` when it is not, LinkError when it is another or has another
        model."""
        if self._reopen is None:
            raise error
        start = time.monotonic()
        known = self._device_id
        self._recovered += self.link.errors_recovered
        self._retries += self.link.retries
        self.link.close()
        while True:
            link = self._try()
            if link is not None:
                break
            if time.monotonic() - start > self.wait:
                self._recovered -= self.link.errors_recovered
                self._retries -= self.link.retries
                raise error
            time.sleep(_LOOK)
        self.link = link
        self.reconnects += 1
        self.longest = max(self.longest, time.monotonic() - start)
        found = link.hello().device_id
        if known is not None and found != known:
            raise LinkError(f"another board answers now: chip {found}, it was {known}")
        if self.model is not None and not link.has_model(self.model):
            raise LinkError("the board is back, but holds another model now", "start again: it is loaded then")

    def _try(self) -> DeviceLink | None:
        assert self._reopen is not None
        try:
            link = self._reopen()
        except LinkError:
            return None
        timeout, link.timeout = link.timeout, _HELLO_TIMEOUT
        try:
            link.hello()
        except LinkError:
            link.close()
            return None
        finally:
            link.timeout = timeout
        return link

    def close(self) -> None:
        """Frees the port."""
        self.link.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
