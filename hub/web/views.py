"""The branch's page: what `today.board` read, in words. Server-rendered, no scripts, renewed every ten seconds.

Vietnamese unless the address says `?lang=en`. Dates and money are written as on paper in both languages.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp_jinja2
import jinja2
from aiohttp import web

from hub.app import Hub
from hub.core.account import HUB
from hub.core.conflicts import CONFLICTS, ConflictClass
from hub.core.days import DayReport
from hub.web.today import CASES_MAX, DATES_MAX, Source, board
from protocol.progress import Progress, rate_per_myriad
from protocol.records import RECORD_KINDS
from protocol.values import local_clock, local_date
from protocol.words import date_text, percent, period_text, vnd, vnd_plain

FOLDER = Path(__file__).parent
REFRESH_S = 10
CASH_DATES_MAX = 3  # Open dates named in a collector's line; older ones are one sum.
BAR_PX, BAR_TEXT_PX = 136, 62  # Width of a bar, and what the figures in it need.
NEAR_PER_MILLE = 700  # Of a target: from here on a bar is amber, before it red.
# Nothing may load but our own style sheet; nothing may frame the page or be sent from it.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

# Texts of the page by key, Vietnamese and English.
TEXTS: dict[str, tuple[str, str]] = {
    "language": ("vi", "en"),
    "skip": ("Đến nội dung", "Skip to content"),
    "sections": ("Các phần", "Sections"),
    "period": ("Kỳ {period}", "Period {period}"),
    "no_period": ("Chưa nhập dữ liệu hóa đơn", "No billing extract yet"),
    "as_of": ("tính đến {time}", "as of {time}"),
    "today": ("Hôm nay", "Today"),
    "cases": ("Vụ việc chờ người xem", "Open cases"),
    "days": ("Cuối ngày", "End of day"),
    "read": ("Ghi", "Read"),
    "collect": ("Thu", "Collect"),
    "rate_of": ("{done} / {whole} khách hàng", "{done} of {whole} customers"),
    "rate_of_cash": ("{done} / {whole} KH trả tiền mặt", "{done} of {whole} cash customers"),
    "targets": (
        "Mục tiêu: ghi ≥ {read}, thu ≥ {collect} (vạch đen trên thanh). Xa mục tiêu nhất đứng đầu.",
        "Targets: read ≥ {read}, collect ≥ {collect} (black mark on the bar). Furthest behind first.",
    ),
    "target": ("{name} {rate}, mục tiêu {target}", "{name} {rate}, target {target}"),
    "reached": ("đạt mục tiêu", "target reached"),
    "left": ("còn {count} KH", "{count} to go"),
    "no_customers": ("không có KH", "no customers"),
    "may_stop": ("được dừng thu", "round may stop"),
    "collector": ("Nhân viên", "Collector"),
    "not_assigned": ("Chưa giao cho ai", "Not assigned"),
    "no_route": ("chưa có lộ trình", "no route"),
    "routes": ("Lộ trình", "Route"),
    "cash": ("Tiền đang giữ", "Cash in hand"),
    "cash_day": ("ngày {day}", "of {day}"),
    "cash_on": ("ngày {day}: {amount}", "of {day}: {amount}"),
    "cash_before": ("các ngày trước: {amount}", "of earlier dates: {amount}"),
    "held": ("Không thu (KH)", "Held (customers)"),
    "R1": ("trả qua ngân hàng, kho bạc", "pay by bank or treasury"),
    "R3": ("chỉ số mới < chỉ số cũ", "index below previous"),
    "R2": ("sản lượng giảm mạnh", "consumption fell"),
    "handheld": ("Máy cầm tay", "Handheld"),
    "device": ("Máy {number}", "Handheld {number}"),
    "hub": ("Trung tâm", "Hub"),
    "imei": ("IMEI {imei}", "IMEI {imei}"),
    "unsent": ("{count} bản ghi chưa gửi", "{count} unsent"),
    "all_sent": ("đã gửi hết", "all sent"),
    "last_told": ("theo lần liên lạc cuối", "as last told"),
    "contact": ("liên lạc {time}", "last contact {time}"),
    "no_handheld": ("chưa có máy", "no handheld"),
    "pending": ("chờ xác nhận IMEI", "waits for its IMEI to be confirmed"),
    "not_active": ("đã thu hồi", "revoked"),
    "forked": ("hai lịch sử khác nhau, xem vụ việc", "two histories, see the cases"),
    "whole": ("Cộng", "Total"),
    "no_collectors": ("Chưa có nhân viên hay lộ trình nào.", "No collectors or routes yet."),
    "gone": (
        "Không tính {count} khách hàng không còn trong dữ liệu hóa đơn.",
        "Not counted: {count} customers who are no longer in the extract.",
    ),
    "cases_none": ("Không có vụ việc nào chờ người xem.", "No case waits for a person."),
    "cases_by_class": ("Số vụ việc theo loại", "Cases by class"),
    "cases_settled": ("Đã tự xử lý hoặc đã quyết định", "Settled by itself or decided"),
    "cases_shown": (
        "{shown} vụ việc nhiều tiền nhất; còn {left} vụ việc khác không hiện ở đây.",
        "The {shown} with the most money; {left} more are not shown here.",
    ),
    "case": ("Vụ việc", "Case"),
    "reference": ("số {reference}", "no. {reference}"),
    "done": ("Đã tự xử lý: {done}", "Done by itself: {done}"),
    "customer": ("Khách hàng", "Customer"),
    "register_no": ("danh bộ {register_no}", "register {register_no}"),
    "who_when": ("Nhân viên, ngày", "Collector, date"),
    "money": ("Tiền", "Money"),
    "records": ("Bản ghi", "Records"),
    "record": ("bản ghi {seq}", "record {seq}"),
    "handheld_says": ("Máy cầm tay báo", "Handheld says"),
    "hub_has": ("Trung tâm có", "Hub has"),
    "cashier_has": ("Thủ quỹ nhận", "Cashier received"),
    "counted": ("nhân viên đếm {amount}", "collector counted {amount}"),
    "not_said": ("chưa báo", "not yet"),
    "handheld_difference": ("Lệch trung tâm − máy", "Hub − handheld"),
    "cash_difference": ("Lệch thủ quỹ − trung tâm", "Cashier − hub"),
    "match": ("khớp", "equal"),
    "to_hand_in": ("còn phải nộp", "to hand in"),
    "short": ("thiếu", "short"),
    "over": ("thừa", "over"),
    "handed_in_later": ("nộp sau khi khóa: {amount}", "handed in after closing: {amount}"),
    "state": ("Trạng thái", "State"),
    "closed": ("Đã khóa sổ", "Closed"),
    "closed_difference": ("Đã khóa sổ, có chênh lệch", "Closed with a difference"),
    "closed_by": ("bởi {by}", "by {by}"),
    "reason": ("lý do: {reason}", "reason: {reason}"),
    "open": ("Chưa khóa sổ", "Open"),
    "open_ready": ("Chưa khóa sổ, máy đã gửi đủ", "Open, handhelds sent all"),
    "open_behind": ("Chưa khóa sổ, chờ máy", "Open, waits for a handheld"),
    "open_shift": ("Đang trong ca", "Shift under way"),
    "behind": ("máy {device}: còn {count} bản ghi chưa gửi", "handheld {device}: {count} unsent"),
    "shift_open": ("máy {device}: chưa đóng ca", "handheld {device}: shift not closed"),
    "days_none": ("Chưa có ca nào.", "No shifts yet."),
    "days_older": (
        "{dates} ngày gần nhất. Cũ hơn, không hiện ở đây: {lines} dòng, trong đó {open} chưa khóa sổ.",
        "The last {dates} dates. Older, not shown here: {lines} lines, {open} of them open.",
    ),
    "refresh": ("Trang tự làm mới mỗi {seconds} giây.", "The page renews itself every {seconds} seconds."),
}
# What the detail of a case says; classes without a row say it themselves.
DETAILS: dict[ConflictClass, tuple[str, str]] = {
    ConflictClass.FORK: ("Số nhánh: {detail}", "Branches: {detail}"),
    ConflictClass.READINGS_DISAGREE: ("Chỉ số {detail}", "Index {detail}"),
    ConflictClass.RE_READ_AFTER_PAYMENT: ("Chỉ số {detail}", "Index {detail}"),
    ConflictClass.READING_BELOW_PREVIOUS: ("Chỉ số cũ → mới: {detail}", "Previous → new index: {detail}"),
    ConflictClass.BILL_DIFFERS: ("Trên giấy / trung tâm tính: {detail} đ", "On paper / by the hub: {detail} đ"),
    ConflictClass.RECEIPT_MISSING: ("Số biên nhận chờ → gặp: {detail}", "Receipt expected → found: {detail}"),
    ConflictClass.CASH_SHORT_OR_OVER: ("Lý do: {detail}", "Reason: {detail}"),
    ConflictClass.BANK_UNMATCHED: ("Nội dung: {detail}", "Content: {detail}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A bar. state: "reached", "near", "far" or "none". fill, mark, text: pixels from the left."""

    done: int
    whole: int
    left: int
    target: str
    state: str
    fill: int
    mark: int
    text: int

    @property
    def percent(self) -> str:
        return percent(self.done, self.whole)

    @property
    def is_text_inside(self) -> bool:
        return self.text < self.fill


def rate(done: int, whole: int, left: int, target_per_mille: int) -> Rate:
    """A rate against its target; `left` customers are missing."""
    reached_per_myriad = rate_per_myriad(done, whole)
    near = reached_per_myriad * 1000 >= target_per_mille * 10 * NEAR_PER_MILLE
    state = "none" if whole == 0 else "reached" if left == 0 else "near" if near else "far"
    fill = BAR_PX * reached_per_myriad // 10_000
    return Rate(
        done=done,
        whole=whole,
        left=left,
        target=_per_mille(target_per_mille),
        state=state,
        fill=fill,
        mark=BAR_PX * target_per_mille // 1000,
        text=6 if fill >= BAR_TEXT_PX else fill + 6,
    )


def _per_mille(share: int) -> str:
    return percent(share, 1000).replace(",0", "")


@dataclass(frozen=True, slots=True)
class Page:
    """What templates ask for; `t` looks a text up in the reader's language."""

    english: bool
    now_ms: int
    targets: tuple[int, int]

    def t(self, key: str, **values: object) -> str:
        return TEXTS[key][self.english].format(**values)

    def title(self, klass: ConflictClass) -> str:
        return CONFLICTS[klass].title[self.english]

    def done(self, klass: ConflictClass) -> str:
        return CONFLICTS[klass].done[self.english]

    def detail(self, klass: ConflictClass, detail: str) -> str:
        if klass is ConflictClass.BILL_DIFFERS:
            detail = re.sub("[0-9]+", lambda found: vnd_plain(int(found[0])), detail)
        return DETAILS[klass][self.english].format(detail=detail) if klass in DETAILS else detail

    def rates(self, progress: Progress) -> tuple[Rate, Rate]:
        """Read and collect."""
        read_target, collect_target = self.targets
        return (
            rate(progress.read, progress.stops, progress.left_to_read(read_target), read_target),
            rate(
                progress.cash_paid,
                progress.cash_customers,
                progress.left_to_collect(collect_target),
                collect_target,
            ),
        )

    def may_stop(self, progress: Progress) -> bool:
        return progress.may_stop(self.targets[1])

    def device(self, number: int) -> str:
        return self.t("hub") if number == HUB else self.t("device", number=number)

    def contact(self, at_ms: int) -> str:
        """Time of a contact today, else its date."""
        day = local_date(at_ms)
        return local_clock(at_ms) if day == local_date(self.now_ms) else date_text(day)

    def source(self, source: Source) -> str:
        """A record behind a case: where it is, what it is, when, whose."""
        words = [f"{self.device(source.device)}, {self.t('record', seq=source.seq)}"]
        if source.kind is not None:
            cls = RECORD_KINDS.get(source.kind)
            words += [cls.TITLE[self.english]] if cls is not None else []
            words += [f"{date_text(local_date(source.at_ms))} {local_clock(source.at_ms)}"]
            words += [source.collector] if source.collector else []
        return " · ".join(words)

    def difference(self, report: DayReport) -> str:
        """What a difference of cash means now."""
        difference = report.difference_vnd
        if difference == 0:
            return self.t("match")
        if difference < 0:
            return self.t("to_hand_in" if report.closed is None else "short")
        return self.t("over")

    def state(self, report: DayReport) -> tuple[str, str]:
        """Of a date: (class of the style sheet, words with their mark)."""
        if report.closed is not None:
            if report.closed.difference_vnd:
                return "far", f"▼ {self.t('closed_difference')}"
            return "reached", f"✓ {self.t('closed')}"
        unsent = any(one.made > one.hub_seq for one in report.handhelds)
        if report.behind and (unsent or report.day < local_date(self.now_ms)):
            return "near", f"▲ {self.t('open_behind')}"
        if report.behind:
            return "plain", f"○ {self.t('open_shift')}"
        return "plain", f"○ {self.t('open_ready' if report.handhelds else 'open')}"

    def behind(self, report: DayReport) -> list[str]:
        """What each handheld keeps back; of a closed date only a shift that was never closed."""
        found: list[str] = []
        for one in report.handhelds:
            if report.closed is None and one.made > one.hub_seq:
                found.append(self.t("behind", device=one.device, count=vnd_plain(one.made - one.hub_seq)))
            if one.shift_open or one.totals is None:
                found.append(self.t("shift_open", device=one.device))
        return found


def signed_vnd(amount_vnd: int) -> str:
    """An amount with its sign: what is too much says so."""
    return f"+{vnd(amount_vnd)}" if amount_vnd > 0 else vnd(amount_vnd)


FILTERS: dict[str, Callable[..., str]] = {
    "vnd": vnd,
    "signed_vnd": signed_vnd,
    "count": vnd_plain,
    "day": date_text,
    "percent": _per_mille,
}


def add_page(app: web.Application, hub: Hub) -> None:
    """Serve the page at `/` and its style sheet under `/static/`."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)

    async def today(request: web.Request) -> web.Response:
        found = await hub.read(lambda connection: board(connection, hub.books, hub.clock()))
        policy = found.policy
        page = Page(
            english=request.query.get("lang") == "en",
            now_ms=found.now_ms,
            targets=(policy.read_target_per_mille, policy.collect_target_per_mille),
        )
        context = {
            "board": found,
            "page": page,
            "t": page.t,
            "clock": local_clock(found.now_ms),
            "today": local_date(found.now_ms),
            "period": period_text(found.period) if found.period else "",
            "refresh_s": REFRESH_S,
            "cash_dates_max": CASH_DATES_MAX,
            "cases_max": CASES_MAX,
            "dates_max": DATES_MAX,
            "bar_px": BAR_PX,
        }
        return aiohttp_jinja2.render_template("page.html", request, context)

    async def protect(request: web.Request, response: web.StreamResponse) -> None:
        if request.path == "/" or request.path.startswith("/static/"):
            response.headers.update(SECURITY_HEADERS)

    app.on_response_prepare.append(protect)
    app.router.add_get("/", today)
    app.router.add_static("/static/", FOLDER / "static")
