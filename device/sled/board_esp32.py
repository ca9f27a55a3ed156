"""An ESP32 development board: which pin is wired to what, and the calls of its MicroPython port.

The host's line is the board's own USB socket, where the prompt of MicroPython is otherwise. README.md has the wiring.
"""

import os
import select
import sys
import time

import esp
import machine
import micropython

GNSS_RX_PIN, GNSS_TX_PIN, GNSS_BAUD = 16, 17, 9_600
MODEM_RX_PIN, MODEM_TX_PIN, MODEM_BAUD = 26, 25, 115_200
BATTERY_PIN = 34  # One of ADC1: the pins of ADC2 do not measure while the radio is on.
BATTERY_DIVIDER = 2  # Two equal resistors: the pin sees half, and the converter ends at 3.1 V.
BATTERY_SAMPLES = 8  # Averages out the radio's and the modem's bursts.
BOOT_BUTTON_PIN = 0
BUTTON_HOLD_MS = 2_000  # Nobody leans on it for that long by mistake.
WATCHDOG_MS = 8_000  # A turn takes a few milliseconds, writing the longest answer 200.
TURN_PAUSE_MS = 5  # At 115200 baud sixty bytes arrive meanwhile; the line's buffer holds 260.
_READ_BYTES = 256
# There while the next start shall end at the prompt.
MAINTENANCE_FILE = "maintenance"


class UartPort:
    """One of the two UARTs that the board has besides the host's line."""

    def __init__(self, number: int, baud: int, *, rx_pin: int, tx_pin: int) -> None:
        # A second of NMEA, should a turn ever take so long.
        self._uart = machine.UART(number, baud, rx=rx_pin, tx=tx_pin, rxbuf=1_024, txbuf=256, timeout=0)

    def read(self) -> bytes:
        return self._uart.read(_READ_BYTES) or b"" if self._uart.any() else b""

    def write(self, data: bytes) -> int:
        return self._uart.write(data) or 0


class UsbPort:
    """The board's own USB socket, by way of standard input and output."""

    def __init__(self) -> None:
        micropython.kbd_intr(-1)  # A byte 3 within a frame is no Ctrl-C.
        esp.osdebug(None)  # The system's own log would go onto this line too.
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self) -> bytes:
        heard = bytearray()
        # One by one: read(n) waits until there are n.
        while len(heard) < _READ_BYTES and self._poll.poll(0):
            heard.extend(sys.stdin.buffer.read(1))
        return bytes(heard)

    def write(self, data: bytes) -> int:
        # `buffer` writes bytes as they are; stdout itself would make CR LF of each LF.
        sys.stdout.buffer.write(data)
        return len(data)


class Esp32:
    """As `ports.Board`."""

    name = "esp32"

    def __init__(self) -> None:
        self.host = UsbPort()
        self.gnss = UartPort(2, GNSS_BAUD, rx_pin=GNSS_RX_PIN, tx_pin=GNSS_TX_PIN)
        self.modem = UartPort(1, MODEM_BAUD, rx_pin=MODEM_RX_PIN, tx_pin=MODEM_TX_PIN)
        self._battery = machine.ADC(machine.Pin(BATTERY_PIN))
        self._battery.atten(machine.ADC.ATTN_11DB)
        self._button = machine.Pin(BOOT_BUTTON_PIN, machine.Pin.IN, machine.Pin.PULL_UP)
        self._pressed_ms: int | None = None
        self._ticks = time.ticks_ms()
        self._up_ms = 0
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)

    def battery_mv(self) -> int | None:
        """Read by the factory's calibration of the converter."""
        total_uv = sum([self._battery.read_uv() for _ in range(BATTERY_SAMPLES)])
        return BATTERY_DIVIDER * total_uv // (1_000 * BATTERY_SAMPLES)

    def feed(self) -> None:
        self._watchdog.feed()

    def released(self) -> bool:
        """Whether BOOT has been held for two seconds."""
        if self._button.value():
            self._pressed_ms = None
            return False
        now_ms = self.ticks_ms()
        if self._pressed_ms is None:
            self._pressed_ms = now_ms
        return now_ms - self._pressed_ms >= BUTTON_HOLD_MS

    def ticks_ms(self) -> int:
        """The port's own counter wraps after twelve days."""
        ticks = time.ticks_ms()
        self._up_ms += time.ticks_diff(ticks, self._ticks)
        self._ticks = ticks
        return self._up_ms

    def pause(self) -> None:
        time.sleep_ms(TURN_PAUSE_MS)


def start_into_prompt() -> None:
    """Start anew, since nothing stops an armed watchdog; MicroPython's prompt is on the USB socket then, once."""
    with open(MAINTENANCE_FILE, "w"):
        pass
    machine.reset()


def prompt_wanted() -> bool:
    """Whether this start shall end at the prompt; says so once."""
    if MAINTENANCE_FILE not in os.listdir():
        return False
    os.remove(MAINTENANCE_FILE)
    return True
