"""The chip's USB controller, register by register: what works, and each misuse that a board would punish."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from usb_bench import SECOND, Bench
from usbd_driver import (
    ENABLE,
    ENDEPIN,
    EP0SETUP,
    EPDATA,
    EPDATASTATUS,
    EVENTCAUSE,
    PULLUP,
    RAM,
    SIZE,
    STALL,
    TOGGLE,
    USBEVENT,
    Driver,
)

from onnxino_tools.emulator.usb.control import request

READY, SUSPEND, RESUME, WAKE_ALLOWED = 1 << 11, 1 << 8, 1 << 9, 1 << 10


@pytest.fixture
def driver() -> Driver:
    return Driver(Bench())


@pytest.fixture
def ready(driver: Driver) -> Driver:
    """Configured, with the port open."""
    driver.start()
    assert driver.run(1.0, lambda: driver.bench.host.configured), (driver.bench.faults, driver.bench.warnings)
    driver.bench.host.set_line(115200, True)
    driver.run(0.01)
    return driver


def words(driver: Driver) -> str:
    return " | ".join([*driver.bench.warnings, *(fault.message for fault in driver.bench.faults)])


def test_enumeration(ready: Driver) -> None:
    host = ready.bench.host
    assert (host.product_id, host.serial_number) == (0x805A, "0123456789")
    assert ready.read(0x470) == 7  # USBADDR: the hardware took it
    assert ready.seen.count("reset") == 2
    assert (ready.brain.line.baud_rate, ready.brain.dtr) == (115200, True)
    assert words(ready) == ""


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1024, 100_000])
def test_echo(ready: Driver, size: int) -> None:
    data = bytes(i * 11 & 0xFF for i in range(size))
    host = ready.bench.host
    start = ready.bench.scheduler.now
    host.write(data)
    back = bytearray()

    def all_back() -> bool:
        back.extend(host.read())
        return len(back) == size

    assert ready.run(2.0, all_back)
    assert bytes(back) == data
    assert words(ready) == ""
    assert size / ((ready.bench.scheduler.now - start) / SECOND) < 1_216_000


def test_nothing_is_taken_before_the_endpoint_is_armed_or_while_it_is_full(ready: Driver) -> None:
    ready.bench.host.write(bytes(200))
    ready.bench.run(1.0)  # without the driver
    assert ready.bench.host.pending == 200 - 64
    assert ready.read(SIZE + 8) == 64
    assert ready.read(EPDATASTATUS) == 1 << 18
    assert ready.run(1.0, lambda: len(ready.got) == 200)


def test_interrupts_and_events(driver: Driver) -> None:
    driver.write(0x304, 1 << 23 | 1 << 22)  # EP0SETUP, USBEVENT
    driver.start()
    assert driver.read(0x300) == 1 << 23 | 1 << 22
    driver.bench.run(0.2)
    assert driver.chip.lines[39]
    assert 0x40027000 + EP0SETUP in driver.chip.published
    driver.write(EP0SETUP, 0)
    assert not driver.chip.lines[39]


def test_supply_events() -> None:
    bench = Bench()
    bench.host.plugged = False
    driver = Driver(bench)
    assert driver.power.read(0x438) == 0
    bench.host.plug()
    assert (driver.power.read(0x11C), driver.power.read(0x124), driver.power.read(0x438)) == (1, 0, 1)
    bench.run(0.01)
    assert (driver.power.read(0x124), driver.power.read(0x438)) == (1, 3)
    bench.host.unplug()
    assert (driver.power.read(0x120), driver.power.read(0x438)) == (1, 0)


def test_vbus_that_was_there_before_a_reset_makes_no_event(driver: Driver) -> None:
    driver.power.reset()
    assert [driver.power.read(at) for at in (0x11C, 0x120, 0x124, 0x438)] == [0, 0, 0, 3]


def test_unplug_and_plug_while_it_runs(ready: Driver) -> None:
    host = ready.bench.host
    host.unplug()
    ready.run(0.1)
    assert not host.configured
    ready.write(PULLUP, 0)
    ready.write(ENABLE, 0)
    host.plug()
    ready.run(0.1)
    assert not host.configured
    ready.start()
    assert ready.run(1.0, lambda: host.configured)
    assert words(ready) == ""


def test_a_reset_of_the_chip_drops_the_port(ready: Driver) -> None:
    ready.usbd.reset()
    ready.bench.run(0.5)
    assert not ready.bench.host.configured
    ready.start()
    assert ready.run(1.0, lambda: ready.bench.host.configured)


def test_bus_reset(ready: Driver) -> None:
    ready.bench.host.reset_bus()
    assert ready.run(1.0, lambda: ready.bench.host.configured)
    assert ready.seen.count("reset") == 4


def test_suspend_and_resume(ready: Driver) -> None:
    host = ready.bench.host
    ready.seen.clear()
    host.suspend()
    ready.run(0.1)
    ready.write(0x52C, 1)
    host.write(b"waits")
    ready.run(0.1)
    assert ready.seen == [SUSPEND]
    host.resume()
    ready.run(0.001)
    ready.write(0x52C, 0)
    assert ready.run(0.1, lambda: host.has_data)
    assert host.read() == b"waits"
    assert ready.seen == [SUSPEND, RESUME, WAKE_ALLOWED]


def test_remote_wake_up(ready: Driver) -> None:
    ready.bench.host.suspend()
    ready.run(0.1)
    ready.write(0x508, 1)
    ready.write(0x058, 1)
    ready.run(0.1)
    assert not ready.bench.host.suspended


def test_halted_endpoints(ready: Driver) -> None:
    host = ready.bench.host
    host.request(request(0x02, 3, 0, 0x02))
    ready.run(0.01)
    assert ready.read(0x444 + 8) == 1
    host.write(b"after the halt")
    assert ready.run(0.1, lambda: host.has_data)
    assert host.read() == b"after the halt"
    assert "endpoint 0x02 is halted" in words(ready)


def test_a_forgotten_toggle_loses_data(ready: Driver) -> None:
    host = ready.bench.host
    host.write(b"one")
    ready.run(0.01)
    ready.write(TOGGLE, 0x82)
    assert ready.read(TOGGLE) == 0x82 | 2 << 8
    ready.write(TOGGLE, 0x82 | 1 << 8)
    host.write(b"two")
    ready.run(0.01)
    assert host.read() == b"one"
    assert "toggles of endpoint 0x82 disagree" in words(ready)


def test_frames(ready: Driver) -> None:
    ready.run(0.01)
    assert ready.read(0x520) == ready.bench.host.frame_number
    ready.write(0x154, 0)
    assert ready.read(0x154) == 0
    ready.run(0.002)
    assert ready.read(0x154) == 1  # seen by polling, without an event of the clock
    ready.write(0x154, 0)
    before = len(ready.chip.published)
    ready.write(0x304, 1 << 21)
    ready.bench.run(0.0105)
    assert ready.chip.published[before:].count(0x40027154) == 10
    ready.write(0x308, 1 << 21)
    ready.bench.run(0.005)
    assert ready.bench.scheduler.next_time() > ready.bench.scheduler.now + SECOND


def _second_dma(d: Driver) -> None:
    d.write(0x004 + 4, 1)
    d.write(0x004 + 8, 1)


def _status_in_dma(d: Driver) -> None:
    d.write(0x004 + 4, 1)
    d.write(0x050, 1)


def _receive_in_dma(d: Driver) -> None:
    d.write(0x004 + 4, 1)
    d.write(0x04C, 1)


def _flash(d: Driver) -> None:
    d.write(0x614, 0x10000)
    d.write(0x618, 4)
    d.write(0x008, 1)


def _overwrite(d: Driver) -> None:
    d.dma_in(1, b"1")
    d.write(0x008, 1)


def _too_long(d: Driver) -> None:
    d.write(0x614, RAM)
    d.write(0x618, 65)
    d.write(0x008, 1)


def _no_crystal(d: Driver) -> None:
    d.power.write(4, 1)


_MISUSE: list[tuple[str, Callable[[Driver], None], str]] = [
    ("two transfers", _second_dma, "STARTEPIN[2] is started while an EasyDMA transfer runs"),
    ("status", _status_in_dma, "EP0STATUS is started while an EasyDMA transfer runs"),
    ("receive", _receive_in_dma, "EP0RCVOUT is started while an EasyDMA transfer runs"),
    ("flash", _flash, "not in RAM"),
    ("overwrite", _overwrite, "while the host has not taken the packet before"),
    ("nothing there", lambda d: d.write(0x028 + 8, 1), "no packet has arrived"),
    ("too long", _too_long, "MAXCNT 65"),
    ("crystal", _no_crystal, "HFXO crystal was stopped"),
]


@pytest.mark.parametrize(("do", "text"), [case[1:] for case in _MISUSE], ids=[case[0] for case in _MISUSE])
def test_misuse_faults(ready: Driver, do: Callable[[Driver], None], text: str) -> None:
    ready.write(0x604 + 0x14, 4)
    ready.write(0x600 + 0x14, RAM)
    ready.write(0xC1C, 0x82)
    do(ready)
    assert text in words(ready)
    assert ready.bench.faults


def test_the_order_of_the_start(driver: Driver) -> None:
    driver.workaround(True)
    driver.write(ENABLE, 1)
    driver.workaround(False)
    driver.write(PULLUP, 1)
    assert "before EVENTCAUSE.READY" in words(driver)
    driver.bench.faults.clear()
    driver.write(PULLUP, 0)
    driver.bench.run(0.01)
    assert driver.read(EVENTCAUSE) == READY
    assert driver.read(USBEVENT) == 1
    driver.write(EVENTCAUSE, READY)
    assert driver.read(EVENTCAUSE) == 0
    driver.write(PULLUP, 1)
    assert "HFXO crystal is off" in words(driver)


def test_missing_workarounds(driver: Driver) -> None:
    driver.write(ENABLE, 1)
    assert "erratum 171" in words(driver)
    assert "erratum 187" in words(driver)
    driver.errata.write(0xD14, 3)
    assert "while 0x4006ec00 is locked" in words(driver)
    driver.workaround(True)
    assert (driver.errata.read(0xC00), driver.errata.read(0xD14)) == (0, 3)
    driver.power.write(0, 1)
    driver.bench.run(0.01)
    driver.bench.warnings.clear()
    driver.write(PULLUP, 1)
    assert "187 was not undone" in words(driver)


def test_a_transfer_without_its_workaround(ready: Driver) -> None:
    ready.write(0x614, RAM)
    ready.write(0x618, 4)
    ready.write(0x008, 1)
    assert "erratum 199" in words(ready)
    ready.read(SIZE + 8)
    assert "SIZE.EPOUT[2] read while" in words(ready)


def test_a_transfer_takes_time_and_reads_ram_at_its_end(ready: Driver) -> None:
    ready.write(0xC1C, 0x82)
    ready.write(0x614, RAM)
    ready.write(0x618, 4)
    ready.write(0x008, 1)
    assert ready.read(ENDEPIN + 4) == 0
    ready.chip.ram_write(RAM, b"late")
    ready.until(lambda: ready.read(ENDEPIN + 4) == 1)
    assert ready.read(0x61C) == 4
    assert ready.usbd.take(1) == b"late"
    assert ready.read(EPDATASTATUS) == 2
    assert ready.read(EPDATA) == 1


def test_enabling_without_vbus() -> None:
    bench = Bench()
    bench.host.plugged = False
    driver = Driver(bench)
    driver.workaround(True)
    driver.write(ENABLE, 1)
    bench.run(0.1)
    assert "without VBUS" in words(driver)
    assert driver.read(EVENTCAUSE) == 0
    bench.host.plug()
    bench.run(0.1)
    assert driver.read(EVENTCAUSE) == READY


def test_stall_register(ready: Driver) -> None:
    ready.write(STALL, 0x82 | 1 << 8)
    assert ready.read(0x420 + 8) == 1
    ready.write(STALL, 0x82)
    assert ready.read(0x420 + 8) == 0
