"""Who may try to log in, and when: the arithmetic of wrong tries and of policies that have grown old. Pure.

A try is counted before it is made. Waiting runs on the clock that nobody can set, and starts anew with the machine; so
neither a restart nor a moved clock gives a try back or shortens a wait. Source: NIST SP 800-63B, throttling; the
delays are the product's.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from protocol.package import LOGIN_DAYS, CollectorCard, Policy
from protocol.values import DAY_MS, Instant

DELAYS_S = (0, 0, 0, 30, 120, 600)  # Before the first try, the second, ...; then the log-in is locked.
PIN_DIGITS_MIN, PIN_DIGITS_MAX = 4, 8  # It opens a screen on which a password has been given, with few tries.
# Names that do not exist share their tries: a list of guessed names would grow without end. They cost a wait each time
# and never lock, since nothing could open them again.
NOBODY = "?"


class Denial(StrEnum):
    """Why somebody was not let in. Words: DENIAL_WORDS."""

    WRONG = "wrong"
    WAIT = "wait"
    LOCKED = "locked"
    EXPIRED = "expired"
    NO_POLICY = "no-policy"
    BAD_VERIFIER = "bad-verifier"
    PIN_WRONG = "pin-wrong"
    PIN_LOCKED = "pin-locked"
    PIN_FORM = "pin-form"
    CODE_FORM = "code-form"
    CODE_WRONG = "code-wrong"
    CODE_LOCKED = "code-locked"
    CODE_NOT_NEEDED = "code-not-needed"


# What people read: (Vietnamese, English). {wait}: how long, in words of the same language.
DENIAL_WORDS: dict[Denial, tuple[str, str]] = {
    Denial.WRONG: (
        "Sai tên đăng nhập hoặc mật khẩu. Kiểm tra lại rồi nhập tiếp",
        "Wrong user name or password. Look again and retry",
    ),
    Denial.WAIT: (
        "Nhập sai nhiều lần. Hãy đợi {wait} rồi thử lại; tắt máy hay chỉnh giờ không rút ngắn được",
        "Too many wrong tries. Wait {wait}; a restart or another time on the clock will not shorten it",
    ),
    Denial.LOCKED: (
        "Đăng nhập đã bị khóa. Gọi chi nhánh để mở, hoặc nhập mã của giám sát",
        "This log-in is locked. Ask the branch to open it, or key a supervisor's code",
    ),
    Denial.EXPIRED: (
        "Máy đã quá lâu không liên lạc với máy chủ. Hãy vào nơi có mạng rồi đăng nhập, hoặc nhập mã của giám sát",
        "This handheld has not reached its hub for too long. Find a network, or key a supervisor's code",
    ),
    Denial.NO_POLICY: (
        "Máy chưa nhận danh sách nhân viên. Lần đăng nhập đầu tiên cần có mạng",
        "This handheld does not know its collectors yet. The first log-in needs a network",
    ),
    Denial.BAD_VERIFIER: (
        "Mật khẩu do máy chủ gửi xuống không dùng được. Báo chi nhánh đặt lại mật khẩu",
        "What the hub sent down for your password cannot be used. Ask the branch to set it again",
    ),
    Denial.PIN_WRONG: ("Sai mã PIN. Nhập lại", "Wrong PIN. Try again"),
    Denial.PIN_LOCKED: (
        "Sai mã PIN quá nhiều lần. Hãy đăng nhập bằng mật khẩu",
        "Too many wrong PINs. Log in with your password",
    ),
    Denial.PIN_FORM: ("Mã PIN phải có từ 4 đến 8 chữ số", "A PIN has 4 to 8 digits"),
    Denial.CODE_FORM: (
        "Mã giám sát có 10 chữ số. Đọc lại từng số với giám sát",
        "A supervisor's code has 10 digits. Read it again, digit by digit",
    ),
    Denial.CODE_WRONG: (
        "Mã giám sát không đúng cho máy này. Đọc lại từng số với giám sát",
        "This is no supervisor's code of this handheld. Read it again, digit by digit",
    ),
    Denial.CODE_LOCKED: (
        "Nhập sai mã giám sát quá nhiều lần. Máy nhận mã lại sau khi liên lạc được với máy chủ",
        "Too many wrong codes. Codes are taken again once the hub has been reached",
    ),
    Denial.CODE_NOT_NEEDED: (
        "Tên đăng nhập này không bị khóa, chưa cần mã giám sát. Quay lại nhập mật khẩu; kiểm tra tên đã gõ đúng chưa",
        "This user name is not locked and needs no code yet. Go back and log in; look whether the name is right",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """Wrong tries in a row of one subject. boot, until_up_ms: no next try before this, in that start of the machine.

    opened: `CollectorCard.opened` when they were last forgiven. code_seq: the record that last forgave them, as a
    supervisor's code makes one; 0 before.
    """

    failed: int = 0
    boot: bytes = b""
    until_up_ms: int = 0
    opened: int = 0
    code_seq: int = 0

    @property
    def locked(self) -> bool:
        """Whether no wait helps any more."""
        return self.failed >= len(DELAYS_S)

    def wait_ms(self, now: Instant) -> int:
        """How long until the next try; 0: now. In another start of the machine the whole delay runs from its start."""
        if self.locked or self.failed == 0:
            return 0
        if self.boot == now.boot:
            return max(0, self.until_up_ms - now.up_ms)
        return max(0, DELAYS_S[self.failed] * 1000 - now.up_ms)

    def one_more(self, now: Instant) -> "Tries":
        """With a try counted that is about to be made."""
        failed = self.failed + 1
        delay_s = DELAYS_S[min(failed, len(DELAYS_S) - 1)]
        return replace(self, failed=failed, boot=now.boot, until_up_ms=now.up_ms + delay_s * 1000)

    def never_locked(self) -> "Tries":
        """With waits alone: as the last wrong try before the lock left them, however many there were."""
        return replace(self, failed=min(self.failed, len(DELAYS_S) - 1))

    def forgiven(self) -> "Tries":
        """After the right one, or when somebody who may has opened the log-in."""
        return Tries(opened=self.opened, code_seq=self.code_seq)

    def as_opened(self, card: CollectorCard) -> "Tries":
        """Forgiven where the branch has opened this log-in since."""
        opened = card.opened or 0
        return Tries(opened=opened, code_seq=self.code_seq) if opened > self.opened else self

    def as_forgiven_by(self, code_seq: int) -> "Tries":
        """Forgiven where a supervisor's code has opened this log-in since: once for each record."""
        return Tries(opened=self.opened, code_seq=code_seq) if code_seq > self.code_seq else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """When the hub last said who may log in. latest_ms: the latest wall clock seen since. seq: records made before."""

    at_ms: int
    latest_ms: int
    seq: int

    def seen(self, wall_ms: int) -> "Heard":
        """With another look at the wall clock; one that goes back changes nothing."""
        return replace(self, latest_ms=max(self.latest_ms, wall_ms))


def is_expired(policy: Policy, heard: Heard | None, *, wall_ms: int, last_record_ms: int, last_seq: int) -> bool:
    """Whether log-in has to wait for the hub. A clock that was set back does not make the last word of it younger.

    last_record_ms, last_seq: of the newest record; it tells of time gone by if it was made since the hub was heard.
    """
    if heard is None:
        return False  # A policy is here, so the hub was heard by a program that did not note when.
    latest_ms = max(wall_ms, heard.latest_ms, last_record_ms if last_seq > heard.seq else 0)
    return latest_ms - heard.at_ms > (policy.login_days or LOGIN_DAYS) * DAY_MS


def is_pin(text: str) -> bool:
    """Whether a text can be a PIN."""
    return PIN_DIGITS_MIN <= len(text) <= PIN_DIGITS_MAX and text.isascii() and text.isdigit()
