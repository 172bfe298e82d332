"""UARTE: the serial port with EasyDMA, as far as the board's firmware can see it.

Without pacing a byte from the host is there as soon as the receiver is ready for it, as if the line had flow control;
when a buffer is full and a shortcut starts the next one, the rest waits until the firmware has noticed. With pacing
bytes take their
time on the wire (10 bits at BAUDRATE), and the receiver overruns as on the chip: 6 bytes wait in its FIFO, no more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from onnxino_tools.emulator.fault import EmulatorFault
from onnxino_tools.emulator.peripherals.base import RAM_BASE, RAM_SIZE, Chip, Peripheral
from onnxino_tools.emulator.scheduler import CLOCK_HZ, Event

CTS, NCTS, RXDRDY, ENDRX, TXDRDY, ENDTX, ERROR = 0x100, 0x104, 0x108, 0x110, 0x11C, 0x120, 0x124
RXTO, RXSTARTED, TXSTARTED, TXSTOPPED = 0x144, 0x14C, 0x150, 0x158
SHORT_ENDRX_STARTRX, SHORT_ENDRX_STOPRX = 1 << 5, 1 << 6
FIFO_SIZE = 6
ATTENTION = 2000  # cycles between the firmware's reaction to a full buffer and the next unpaced byte


class Uarte(Peripheral):
    """Host side: `to_device` (bytes waiting to be received) and `from_device` (bytes sent)."""

    name = "UARTE"

    def __init__(self, chip: Chip, base: int, irq: int, *, rx_pin: int, tx_pin: int, paced: bool = False) -> None:
        super().__init__(chip, base, irq)
        self.rx_pin, self.tx_pin = rx_pin, tx_pin  # where the host is wired to, as written to PSEL
        self.paced = paced
        self.to_device = bytearray()
        self.from_device = bytearray()
        self.hfxo_running = False
        self.on_sent: Callable[[bytes], None] = lambda data: None
        self.others_busy: Callable[[], bool] = lambda: False
        self.idle_polls = 0  # reads of events that were not there, since something last happened
        self.idle_after = 32  # of them: then the firmware is taken to wait for the host
        self._last_poll = 0
        self._pending: list[Event] = []
        self.tasks = {
            0x00: self._start_rx, 0x04: self._stop_rx, 0x08: self._start_tx, 0x0C: self._stop_tx, 0x2C: self._flush_rx,
        }  # fmt: skip
        self.writers = {0x480: self._clear_errors, 0x500: self._enable, 0x53C: self._read_only, 0x54C: self._read_only}
        for offset in (0x508, 0x50C, 0x510, 0x514):
            self.writers[offset] = lambda value, at=offset: self._select_pin(at, value)
        self.reset()

    def reset(self) -> None:
        for event in (*self._pending, getattr(self, "_held", None), getattr(self, "_arrival", None)):
            if event is not None:
                event.cancel()
        self._pending.clear()
        self.registers = {
            0x200: 0, 0x480: 0, 0x500: 0, 0x508: 0xFFFFFFFF, 0x50C: 0xFFFFFFFF, 0x510: 0xFFFFFFFF, 0x514: 0xFFFFFFFF,
            0x524: 0x04000000, 0x534: 0, 0x538: 0, 0x53C: 0, 0x544: 0, 0x548: 0, 0x54C: 0, 0x56C: 0,
        }  # fmt: skip
        self._fifo: deque[int] = deque()
        self._receiving = False  # a DMA transfer runs
        self.listening = False  # the receiver is on: bytes without a DMA go to the FIFO
        self._pointer = self._room = self._count = 0
        self._sending = False
        self._arrival: Event | None = None
        self._held: Event | None = None
        super().reset()

    # --- host side ---
    def host_write(self, data: bytes) -> None:
        self.idle_polls = 0
        self.to_device.extend(data)
        self._deliver()

    @property
    def byte_cycles(self) -> int:
        """Core cycles that one byte takes on the wire (start, 8 data, stop bit)."""
        rate = self.registers[0x524] * 16_000_000 >> 32  # bits a second
        return CLOCK_HZ * 10 // max(rate, 1)

    # --- core side ---
    def read(self, offset: int) -> int:
        if 0x100 <= offset < 0x200 and offset not in self.events:
            self.note_poll()
            if offset not in self.events:
                return 0
        return super().read(offset)

    def clear_event(self, offset: int) -> None:
        super().clear_event(offset)
        if offset in (ENDRX, RXSTARTED) and self._held is not None:
            self._hold(ATTENTION)

    def note_poll(self) -> None:
        """Counts polls that find nothing, if they come close together: then the firmware waits for the host."""
        if self._arrival is not None or self._sending or self.others_busy():
            return  # something is on the wire
        now = self.chip.scheduler.now
        self.idle_polls = self.idle_polls + 1 if now - self._last_poll < 5000 else 1
        self._last_poll = now
        if self.idle_polls == self.idle_after:
            if self._held is not None:
                self._hold(0)
            self.chip.request_stop()

    def _ready(self, task: str) -> bool:
        """Whether a transfer can start; refuses what would not work on the chip."""
        if self.registers[0x500] != 8:
            self.chip.warn(f"UARTE {task} while ENABLE is {self.registers[0x500]} and not 8: ignored")
            return False
        if not self.hfxo_running:
            self.chip.fault(
                EmulatorFault(
                    "uarte", f"UARTE {task} while the HFXO crystal is off: the baud rate would be too far off",
                    "start it with CLOCK.TASKS_HFCLKSTART and wait for EVENTS_HFCLKSTARTED",
                )
            )  # fmt: skip
            return False
        return True

    def _dma(self, what: str, pointer: int, size: int) -> bool:
        if pointer >= RAM_BASE and pointer + size <= RAM_BASE + RAM_SIZE:
            return True
        self.chip.fault(
            EmulatorFault(
                "easydma",
                f"EasyDMA of UARTE ({what}) at 0x{pointer:08x}, {size} bytes: not in RAM (0x20000000 to 0x2003ffff)",
                "copy constants to RAM first: EasyDMA cannot read flash",
            )
        )  # fmt: skip
        return False

    # --- receiver ---
    def _start_rx(self) -> None:
        pointer, size = self.registers[0x534], self.registers[0x538] & 0xFFFF
        if not self._ready("STARTRX") or not self._dma("receive", pointer, size):
            return
        self.listening = self._receiving = True
        self._pointer, self._room, self._count = pointer, size, 0
        self.event(RXSTARTED)
        if size == 0:
            self._end_rx()
        self._deliver()

    def _stop_rx(self) -> None:
        if self._receiving:
            self._end_rx(stopping=True)
        self.listening = False
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None
        self.event(RXTO)

    def _flush_rx(self) -> None:
        """Moves what is left in the FIFO to the buffer of RXD.PTR."""
        pointer, size = self.registers[0x534], self.registers[0x538] & 0xFFFF
        if not self._dma("flush", pointer, size):
            return
        taken = bytes(self._fifo.popleft() for _ in range(min(size, len(self._fifo))))
        self.chip.ram_write(pointer, taken)
        self.registers[0x53C] = len(taken)
        self.event(ENDRX)

    def _end_rx(self, stopping: bool = False) -> None:
        self._receiving = False
        self.registers[0x53C] = self._count  # AMOUNT changes here only
        self.event(ENDRX)
        if stopping:
            return
        if self.registers[0x200] & SHORT_ENDRX_STARTRX:
            if not self.paced and self.to_device:
                self._hold(self._count * self.byte_cycles)
            self._start_rx()
        if self.registers[0x200] & SHORT_ENDRX_STOPRX:
            self._stop_rx()

    def _store(self, data: bytes) -> None:
        """Bytes from the wire or the FIFO, no more than the transfer has room for."""
        self.chip.ram_write(self._pointer + self._count, data)
        self._count += len(data)
        self.idle_polls = 0
        self.event(RXDRDY, len(data))
        if self._receiving and self._count >= self._room:
            self._end_rx()

    def _hold(self, cycles: int) -> None:
        """Without pacing: keeps the next bytes back for so long, because a buffer is full and the firmware has to take
        care of it."""
        if self._held is not None:
            self._held.cancel()
        self._held = self.chip.scheduler.after(cycles, self._release)

    def _release(self) -> None:
        self._held = None
        self._deliver()

    def _deliver(self) -> None:
        """Without pacing: hands over as many bytes as the receiver takes. With pacing: schedules the next one."""
        if self.registers[0x514] != self.rx_pin:
            if self.listening and self.to_device:
                self.chip.warn("UARTE receives, but PSEL.RXD is not the pin that the host is wired to")
            return
        if self.paced:
            self._schedule_arrival()
            return
        while self._fifo and self._receiving:
            self._store(bytes((self._fifo.popleft(),)))
        while self.to_device and self._receiving and self._held is None:
            size = min(len(self.to_device), self._room - self._count)
            data = bytes(self.to_device[:size])
            del self.to_device[:size]
            self._store(data)

    def _schedule_arrival(self) -> None:
        while self._fifo and self._receiving:
            self._store(bytes((self._fifo.popleft(),)))
        if self._arrival is None and self.to_device and self.listening:
            self._arrival = self.chip.scheduler.after(self.byte_cycles, self._arrive)

    def _arrive(self) -> None:
        self._arrival = None
        if self.to_device and self.listening:
            byte = self.to_device.pop(0)
            if self._receiving:
                self._store(bytes((byte,)))
            elif len(self._fifo) < FIFO_SIZE:
                self._fifo.append(byte)
                self.event(RXDRDY)
            else:
                self.registers[0x480] |= 1  # overrun: the byte is lost
                self.event(ERROR)
        self._schedule_arrival()

    # --- transmitter ---
    def _start_tx(self) -> None:
        pointer, size = self.registers[0x544], self.registers[0x548] & 0xFFFF
        if not self._ready("STARTTX") or not self._dma("send", pointer, size):
            return
        self.idle_polls = 0
        self.event(TXSTARTED)
        data = self.chip.ram_read(pointer, size)
        if not self.paced or size == 0:
            self._sent(data)
            return
        self._sending = True
        event = self.chip.scheduler.after(self.byte_cycles * size, lambda: self._sent(data))
        self._pending = [event]

    def _sent(self, data: bytes) -> None:
        self._sending = False
        if self.registers[0x50C] == self.tx_pin:
            self.from_device += data
        elif data:
            self.chip.warn("UARTE sends, but PSEL.TXD is not the pin that the host is wired to: the bytes are lost")
        self.registers[0x54C] = len(data)
        self.on_sent(data)
        for _ in data[:1]:
            self.event(TXDRDY)
        self.event(ENDTX)
        self.chip.request_stop()

    def _stop_tx(self) -> None:
        for event in self._pending:
            event.cancel()
        self._pending.clear()
        self._sending = False
        self.event(TXSTOPPED)

    # --- registers ---
    def _clear_errors(self, value: int) -> None:
        self.registers[0x480] &= ~value

    def _enable(self, value: int) -> None:
        self.registers[0x500] = value & 15
        if value & 15 != 8:
            self.listening = self._receiving = False

    def _select_pin(self, offset: int, value: int) -> None:
        if self.registers[0x500] == 8:
            self.chip.warn("UARTE pins (PSEL) written while it is enabled: the chip wants ENABLE = 0 for that")
        self.registers[offset] = value

    def _read_only(self, value: int) -> None:
        """RXD.AMOUNT and TXD.AMOUNT cannot be written."""
