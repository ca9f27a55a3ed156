"""A D-Bus of our own, so that simulated Bluetooth needs neither root nor a radio and disturbs nobody's real one.

It takes the place of the system bus for this process and for those started from it, by DBUS_SYSTEM_BUS_ADDRESS.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

ADDRESS_VARIABLE = "DBUS_SYSTEM_BUS_ADDRESS"
_STOP_S = 5.0  # The daemon ends at once when asked; one that does not is killed.

# Anybody who can reach the socket may own any name and talk to anybody: the folder is readable by its owner alone.
_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
  </policy>
</busconfig>
"""


class BusError(Exception):
    """The private bus cannot be had; the sentence says what to do."""


@contextmanager
def private_bus() -> Iterator[str]:
    """Run a dbus-daemon on a temporary socket and yield its address; what was the system bus before is so again after.

    Raises BusError.
    """
    with TemporaryDirectory(prefix="ghithu-bus-") as folder, TemporaryFile() as complaints:
        configuration = Path(folder) / "bus.conf"
        configuration.write_text(_CONFIGURATION.format(socket=Path(folder) / "socket"), encoding="utf-8")
        command = ("dbus-daemon", f"--config-file={configuration}", "--nofork", "--nopidfile", "--print-address")
        try:
            daemon = subprocess.Popen(  # noqa: S603 - a fixed command, and a file that was written just now
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints
            )
        except FileNotFoundError as error:
            raise BusError("There is no dbus-daemon here. Install Debian's package dbus: apt install dbus") from error
        assert daemon.stdout is not None
        try:
            address = daemon.stdout.readline().decode().strip()
            if not address:
                complaints.seek(0)
                said = complaints.read().decode(errors="replace").strip()
                raise BusError(f"dbus-daemon ended before anybody could reach it: {said}")
            with _system_bus(address):
                yield address
        finally:
            daemon.terminate()
            try:
                daemon.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
            daemon.stdout.close()


@contextmanager
def _system_bus(address: str) -> Iterator[None]:
    before = os.environ.get(ADDRESS_VARIABLE)
    os.environ[ADDRESS_VARIABLE] = address
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(ADDRESS_VARIABLE, None)
        else:
            os.environ[ADDRESS_VARIABLE] = before
