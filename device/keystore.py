"""Who this handheld is, on disk: its private key, and what enrolment told it.

The key is made once and never leaves its file. Both files appear whole or not at all.
"""

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from device.core.memory import Identity
from protocol import codec
from protocol.codec import FieldError
from protocol.envelope import PublicKeyError, SigningKey, VerifyKey, require_sound_public_key
from protocol.fields import Code
from protocol.records import DeviceNo, UserCode
from protocol.values import Imei, ImeiError

KEY_NAME = "device.key"
IDENTITY_NAME = "identity.json"
SEED_BYTES = 32
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeystoreError(Exception):
    """A file of the keystore is missing, damaged, or open to other users. `path` is the file."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class NotEnrolledError(KeystoreError):
    """No hub has admitted this handheld yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What the hub said when it admitted this handheld. hub_url: scheme and host only. hub_key: 32 bytes."""

    device: int
    unit: str
    hub_url: str
    hub_key: bytes
    imei: Imei
    collector: str

    def identity(self, key: SigningKey, software: str) -> Identity:
        """Who the session is."""
        return Identity(
            device=self.device,
            unit=self.unit,
            imei=self.imei,
            key=key,
            hub_key=VerifyKey.of(self.hub_key),
            software=software,
        )


def make_key(home: Path) -> SigningKey:
    """Make this handheld's key. Raises FileExistsError where there is one: a key is never replaced."""
    path, new = home / KEY_NAME, home / f"{KEY_NAME}.new"
    new.unlink(missing_ok=True)  # Left by a cut before it became the key, so nobody has seen its public half.
    seed = os.urandom(SEED_BYTES)
    _write_new(new, seed)
    os.link(new, path)
    new.unlink()
    sync_folder(home)
    return SigningKey.of(seed)


def read_key(home: Path) -> SigningKey:
    """The key made at first start. Raises KeystoreError when other users could have read it, or it is damaged."""
    path = home / KEY_NAME
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            seed = file.read(SEED_BYTES + 1)
    except OSError as error:
        raise KeystoreError(path, str(error.strerror)) from error
    if not stat.S_ISREG(mode) or mode & OTHERS:
        raise KeystoreError(path, f"mode {stat.S_IMODE(mode):04o} lets others at the key; it must be 0600")
    if len(seed) != SEED_BYTES:
        raise KeystoreError(path, f"a key has {SEED_BYTES} bytes")
    return SigningKey.of(seed)


def key_of(home: Path) -> SigningKey:
    """This handheld's key, made now if it has none."""
    return read_key(home) if (home / KEY_NAME).exists() else make_key(home)


def keep_admission(home: Path, admission: Admission) -> None:
    """Write identity.json, whole or not at all."""
    content = asdict(admission) | {"hub_key": admission.hub_key.hex()}
    text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    write_whole(home / IDENTITY_NAME, text.encode())


def read_admission(home: Path) -> Admission:
    """What identity.json says. Raises NotEnrolledError or KeystoreError."""
    path = home / IDENTITY_NAME
    try:
        content = json.loads(path.read_bytes())
        hub_key = bytes.fromhex(content["hub_key"])
        require_sound_public_key(hub_key)
        return Admission(
            device=_read_device(content["device"], "device"),
            unit=_read_unit(content["unit"], "unit"),
            hub_url=hub_origin(content["hub_url"]),
            hub_key=hub_key,
            imei=Imei(content["imei"]),
            collector=_read_user(content["collector"], "collector"),
        )
    except FileNotFoundError as error:
        raise NotEnrolledError(path, "this handheld is not enrolled yet") from error
    except (OSError, KeyError, TypeError, ValueError, FieldError, ImeiError, PublicKeyError) as error:
        raise KeystoreError(path, f"damaged: {error}") from error


def hub_origin(url: str) -> str:
    """Scheme, host and port of the hub, no slash behind. Raises ValueError: a signed path begins at the root."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not the address of a hub")
    if parts.path not in ("", "/") or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{url!r}: the address of a hub is a scheme, a host and perhaps a port")
    return f"{parts.scheme}://{parts.netloc}"


def write_whole(path: Path, content: bytes) -> None:
    """Put a file there so that a reader, or a power cut, finds the old one or the new one."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    _write_new(new, content)
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


_read_device = codec.reader(DeviceNo)
_read_unit = codec.reader(Code)
_read_user = codec.reader(UserCode)
