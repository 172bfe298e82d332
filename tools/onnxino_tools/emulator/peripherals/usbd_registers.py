"""Registers and bits of the USBD, and what it needs of POWER."""

from __future__ import annotations

from typing import Protocol

USBRESET, STARTED, ENDEPIN, EP0DATADONE, ENDEPOUT = 0x100, 0x104, 0x108, 0x128, 0x130
SOF, USBEVENT, EP0SETUP, EPDATA = 0x154, 0x158, 0x15C, 0x160
EVENTCAUSE, EPSTATUS, EPDATASTATUS, SIZE_EPOUT, ENABLE, PULLUP = 0x400, 0x468, 0x46C, 0x4A0, 0x500, 0x504
EPINEN, EPOUTEN, LOWPOWER, EPIN, EPOUT, ERRATUM_199 = 0x510, 0x514, 0x52C, 0x600, 0x700, 0xC1C
SUSPEND, RESUME, WAKE_ALLOWED, READY = 1 << 8, 1 << 9, 1 << 10, 1 << 11
SHORT_STARTEPIN0, SHORT_STARTEPOUT0, SHORT_EP0STATUS, SHORT_OUT_STATUS, SHORT_OUT_RCVOUT = 1, 2, 4, 8, 16


class Supply(Protocol):
    """The USB part of POWER."""

    @property
    def usb_ready(self) -> bool:
        """VBUS is there and the regulator's output is ready."""
        ...

    @property
    def vbus(self) -> bool: ...

    def set_vbus(self, present: bool) -> None: ...


class NoSupply:
    """A chip without USB power."""

    usb_ready = vbus = False

    def set_vbus(self, present: bool) -> None: ...
