"""`python -m hub`: everything branch IT does from a command line. Words for people in Vietnamese and English."""

import asyncio
import gc
import json
import signal
import sys
from io import StringIO
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import aiohttp
import segno
import typer

from hub.admin import ACTIONS, AdminError
from hub.api.server import SERVING_FILE, serve
from hub.app import Hub, refuse_optimised
from hub.clock import chosen_clock
from hub.home import HomeError
from hub.office import OfficeError
from hub.passwords import PasswordError, verifier_of
from hub.people import add_person
from hub.store.database import HubIsBusyError
from protocol import codec
from protocol.codec import FieldError
from protocol.package import Policy
from protocol.values import DAY_MS

cli = typer.Typer(no_args_is_help=True, add_completion=False, help="Trung tâm Ghi Thu · the hub of a branch")
user = typer.Typer(no_args_is_help=True, help="Người dùng · people")
device = typer.Typer(no_args_is_help=True, help="Máy cầm tay · handhelds")
policy = typer.Typer(no_args_is_help=True, help="Quy định · policy")
package = typer.Typer(no_args_is_help=True, help="Gói lộ trình · route packages")
day = typer.Typer(no_args_is_help=True, help="Đối soát cuối ngày · end of day")
case = typer.Typer(no_args_is_help=True, help="Hồ sơ cần xử lý · cases")
GROUPS = {"user": user, "device": device, "policy": policy, "package": package, "day": day, "case": case}
for name, group in GROUPS.items():
    cli.add_typer(group, name=name)

Home = Annotated[Path, typer.Option(envvar="GHITHU_HUB_HOME", help="Thư mục của trung tâm · the hub's folder")]
By = Annotated[str, typer.Option(envvar="GHITHU_BY", help="Mã người thực hiện · who does this")]
DEFAULT_HOME = Path("hub-home")
GARBAGE_AFTER = 50_000  # New containers before a look; an upload of 500 records makes about as many.
POLICY_DAYS = 3650  # A policy is replaced, not waited out.


class CallError(Exception):
    """An action that was not done; the message is for the person at the keyboard."""


def call(home: Path, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Do an action: in the running server of this home, or here when none runs."""
    try:
        return asyncio.run(_call_here(home, action, arguments))
    except HubIsBusyError:
        return asyncio.run(_call_server(home, action, arguments))
    except (HomeError, OfficeError, AdminError, ValueError, OSError) as error:
        raise CallError(str(error)) from error


async def _call_here(home: Path, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    hub = await Hub.open(home)
    try:
        return await ACTIONS[action](hub, arguments)
    finally:
        await hub.close()


async def _call_server(home: Path, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    path = home / SERVING_FILE
    if not path.is_file():
        raise CallError(f"another command is using {home}: wait until it has finished")
    address = json.loads(path.read_text(encoding="utf-8"))
    headers = {"Authorization": f"Bearer {address['token']}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=600)) as session,
            session.post(f"{address['url']}/admin/{action}", json=arguments) as answer,
        ):
            result: dict[str, Any] = await answer.json()
    except aiohttp.ClientError as error:  # The address may be left of a server that was killed.
        raise CallError(f"{home} is in use, and its server does not answer: {error}") from error
    if answer.status != 200:
        raise CallError(str(result.get("error", answer.status)))
    return result


def show(result: dict[str, Any]) -> None:
    """Print a result as JSON: people can read it, programs too."""
    typer.echo(json.dumps(result, ensure_ascii=False, indent=1))


@cli.command()
def init(
    unit: Annotated[str, typer.Option(help="Mã đơn vị · code of the unit, letters and digits")],
    branch_name: Annotated[str, typer.Option(help="Tên chi nhánh · name of the branch")],
    utility_name: Annotated[str, typer.Option(help="Tên công ty · name of the utility, as on paper")],
    bank_bin: Annotated[str, typer.Option(help="Mã ngân hàng nhận tiền · BIN of the utility's bank")],
    bank_account: Annotated[str, typer.Option(help="Số tài khoản nhận tiền · the utility's account")],
    home: Home = DEFAULT_HOME,
    hotline: str = "",
    by: By = "it",
    drop_per_mille: Annotated[int, typer.Option(help="Sản lượng giảm (‰) thì giữ · fall that holds")] = 300,
    drop_m3_min: Annotated[int, typer.Option(help="và giảm ít nhất (m³) · and at least this many m³")] = 3,
    cash_rounding_vnd: Annotated[int, typer.Option(help="Làm tròn tiền mặt · cash rounding")] = 1,
) -> None:
    """Lập trung tâm mới · make a new hub with its key, its database and its first person."""
    now_ms = chosen_clock()()
    try:
        first = Policy(
            unit=unit,
            version=1,
            issued_ms=now_ms,
            expires_ms=now_ms + POLICY_DAYS * DAY_MS,
            utility_name=utility_name,
            branch_name=branch_name,
            hotline=hotline,
            bank_bin=bank_bin,
            bank_account=bank_account,
            drop_per_mille=drop_per_mille,
            drop_m3_min=drop_m3_min,
            cash_rounding_vnd=cash_rounding_vnd,
        )
        codec.unpack(Policy, codec.decode(codec.encode(codec.pack(first))))  # Handhelds will read it so.
        asyncio.run(_init(home, first, by))
    except (HomeError, HubIsBusyError, FieldError) as error:
        raise CallError(str(error)) from error
    typer.echo(f"{home}: {branch_name} ({unit})")


async def _init(home: Path, first: Policy, by: str) -> None:
    hub = await Hub.create(home, first, by)
    try:
        await add_person(hub, code=by, name=by, role="it", by=by)
    finally:
        await hub.close()


@cli.command("serve")
def serve_command(home: Home = DEFAULT_HOME, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Chạy trung tâm · run the hub until Ctrl-C."""
    try:
        asyncio.run(_serve(home, host, port))
    except (HomeError, HubIsBusyError) as error:
        raise CallError(str(error)) from error


async def _serve(home: Path, host: str, port: int) -> None:
    hub = await Hub.open(home)
    spare_what_stays()
    try:
        server = await serve(hub, host, port)
        typer.echo(f"Trung tâm đang chạy · listening at {server.url}")
        sys.stdout.flush()
        stop = asyncio.Event()
        for sign in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(sign, stop.set)
        await stop.wait()
        await server.stop()
    finally:
        await hub.close()


def spare_what_stays() -> None:
    """Let the garbage collector leave modules and what was opened alone, and come less often: a third of an upload's
    time went into walking customers and records that stay.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 50)


@cli.command("import")
def import_command(folder: Path, home: Home = DEFAULT_HOME, by: By = "it", dry_run: bool = False) -> None:
    """Nhập dữ liệu hóa đơn · take in a billing extract; --dry-run only says what it would do."""
    result = call(home, "import", {"folder": str(folder.resolve()), "by": by, "dry_run": dry_run})
    show(result)
    if result["problems"]:
        raise typer.Exit(1)


@cli.command()
def bank(
    file: Path,
    home: Home = DEFAULT_HOME,
    by: By = "it",
    bank_format: Annotated[str, typer.Option("--format")] = "csv",
    until_ms: Annotated[int | None, typer.Option(help="Chỉ lấy đến lúc này · leave later lines")] = None,
) -> None:
    """Nhập sao kê ngân hàng · take in a bank statement."""
    arguments = {"file": str(file.resolve()), "by": by, "format": bank_format, "until_ms": until_ms}
    result = call(home, "bank", arguments)
    show(result)
    if result["problems"]:
        raise typer.Exit(1)


def asked_verifier() -> str:
    """Ask for a password twice, out of sight; what the hub keeps instead."""
    try:
        return verifier_of(typer.prompt("Mật khẩu · password", hide_input=True, confirmation_prompt=True))
    except PasswordError as error:
        raise CallError(str(error)) from error


@user.command("add")
def user_add(
    code: str,
    name: str,
    role: Annotated[str, typer.Option(help="collector, supervisor, cashier, accountant, it, auditor")],
    phone: str = "",
    password: Annotated[bool, typer.Option("--password", help="Hỏi mật khẩu · ask for a password")] = False,
    home: Home = DEFAULT_HOME,
    by: By = "it",
) -> None:
    """Thêm người dùng · name a person."""
    arguments = {"code": code, "name": name, "role": role, "phone": phone, "by": by}
    call(home, "user.add", {**arguments, "verifier": asked_verifier() if password else ""})


@user.command("list")
def user_list(home: Home = DEFAULT_HOME) -> None:
    """Danh sách người dùng · who works here."""
    show(call(home, "user.list", {}))


@user.command("password")
def user_password(
    code: str,
    verifier: Annotated[str, typer.Option(help="Chuỗi Argon2id có sẵn · instead of asking: an Argon2id text")] = "",
    home: Home = DEFAULT_HOME,
    by: By = "it",
) -> None:
    """Đặt lại mật khẩu · another password, on handhelds with their next policy."""
    call(home, "user.password", {"code": code, "verifier": verifier or asked_verifier(), "by": by})


@user.command("unlock")
def user_unlock(code: str, home: Home = DEFAULT_HOME, by: By = "it") -> None:
    """Mở khóa đăng nhập · let a collector try again after too many wrong passwords."""
    call(home, "user.unlock", {"code": code, "by": by})


@user.command("close")
def user_close(code: str, home: Home = DEFAULT_HOME, by: By = "it") -> None:
    """Ngừng cho đăng nhập · nobody logs in as this person any more."""
    call(home, "user.close", {"code": code, "by": by})


@policy.command("set")
def policy_set(
    login_days: Annotated[
        int | None, typer.Option(help="Số ngày được đăng nhập khi không có mạng · days of log-in without a network")
    ] = None,
    retype_from_vnd: Annotated[
        int | None, typer.Option(help="Từ số tiền này phải nhập lại 3 số cuối · from here on digits are keyed again")
    ] = None,
    home: Home = DEFAULT_HOME,
    by: By = "it",
) -> None:
    """Đổi quy định · another policy for all handhelds."""
    show(call(home, "policy.set", {"login_days": login_days, "retype_from_vnd": retype_from_vnd, "by": by}))


@device.command("slot")
def device_slot(
    collector: str,
    qr: Annotated[bool, typer.Option("--qr", help="In mã QR để máy quét · also a QR for the handheld to scan")] = False,
    hub_url: Annotated[
        str, typer.Option(envvar="GHITHU_HUB_URL", help="Địa chỉ trung tâm mà máy thấy · the hub as handhelds see it")
    ] = "",
    home: Home = DEFAULT_HOME,
    by: By = "it",
) -> None:
    """Mở chỗ cho một máy mới · a one-time code for a new handheld."""
    if qr and (urlsplit(hub_url).scheme not in ("http", "https") or not urlsplit(hub_url).hostname):
        raise CallError("a QR needs --hub-url: the address at which handhelds reach this hub, https://…")
    code = call(home, "device.slot", {"collector": collector, "by": by})["code"]
    typer.echo(code)
    if qr:
        typer.echo(enrolment_qr(hub_url, code))


def enrolment_qr(hub_url: str, code: str) -> str:
    """What the wizard of a new handheld reads with its camera, drawn in letters."""
    drawn = StringIO()
    content = f"ghithu:enrol?hub={quote(hub_url, safe=':/')}&code={quote(code, safe='')}"
    segno.make(content, micro=False, error="m").terminal(drawn, compact=True)
    return drawn.getvalue()


@device.command("code")
def device_code(
    number: int,
    reason: Annotated[str, typer.Option(help="Lý do · what it is for")],
    by: Annotated[str, typer.Option(envvar="GHITHU_BY", help="Mã giám sát · the supervisor")],
    customer: Annotated[str, typer.Option(help="Mã khách hàng · the customer")] = "",
    home: Home = DEFAULT_HOME,
) -> None:
    """Cấp mã giám sát · the next single-use code of a handheld, to be told to its collector."""
    arguments = {"device": number, "reason": reason, "customer": customer, "by": by}
    shown = call(home, "device.code", arguments)
    typer.echo(shown["code"])
    typer.echo(f"Còn {shown['left']} mã cho máy này · {shown['left']} codes left for this handheld", err=True)


@device.command("confirm")
def device_confirm(number: int, imei: str, home: Home = DEFAULT_HOME, by: By = "it") -> None:
    """Xác nhận IMEI của máy · confirm a handheld after comparing its IMEI."""
    call(home, "device.confirm", {"device": number, "imei": imei, "by": by})


@device.command("list")
def device_list(home: Home = DEFAULT_HOME) -> None:
    """Danh sách máy · handhelds, what they made and what is here."""
    show(call(home, "device.list", {}))


@package.command("publish")
def package_publish(route: str, collector: str, home: Home = DEFAULT_HOME, by: By = "it") -> None:
    """Giao lộ trình cho nhân viên · sign and publish a route for a collector."""
    show(call(home, "package.publish", {"route": route, "collector": collector, "by": by}))


@package.command("routes")
def package_routes(home: Home = DEFAULT_HOME) -> None:
    """Danh sách lộ trình · routes and who walks them."""
    show(call(home, "package.routes", {}))


@day.command("receive")
def day_receive(
    collector: str,
    date: str,
    notes: Annotated[list[str], typer.Argument(help="500000x3 20000x1 …")],
    home: Home = DEFAULT_HOME,
    by: By = "it",
    intent: Annotated[str | None, typer.Option(help="32 hex: lần bấm · the same twice is one handover")] = None,
) -> None:
    """Thủ quỹ nhận tiền · cash from a collector, by note."""
    counted: dict[str, int] = {}
    for note in notes:
        value, _, pieces = note.partition("x")
        if not value.isdigit() or not pieces.isdigit():
            raise CallError(f"{note!r}: write value x pieces, such as 500000x3")
        counted[value] = counted.get(value, 0) + int(pieces)
    arguments = {"collector": collector, "day": date, "notes": counted, "by": by, "intent": intent}
    show(call(home, "day.receive", arguments))


@day.command("paper")
def day_paper(number: int, receipt_no: int, home: Home = DEFAULT_HOME, by: By = "it") -> None:
    """Nộp lại biên nhận đã hủy · the paper of a voided receipt is back."""
    show(call(home, "day.paper", {"device": number, "receipt_no": receipt_no, "by": by}))


@day.command("report")
def day_report(
    collector: Annotated[str | None, typer.Argument()] = None,
    date: Annotated[str | None, typer.Argument()] = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Ba cột đối soát · the three columns."""
    show(call(home, "day.report", {"collector": collector, "day": date} if collector else {}))


@day.command("close")
def day_close(
    collector: str, date: str, home: Home = DEFAULT_HOME, by: By = "it", reason: Annotated[str, typer.Option()] = ""
) -> None:
    """Khóa sổ ngày · close a collector's date."""
    show(call(home, "day.close", {"collector": collector, "day": date, "by": by, "reason": reason}))


@case.command("list")
def case_list(home: Home = DEFAULT_HOME) -> None:
    """Hồ sơ cần người xem · what a person has to look at."""
    show(call(home, "case.list", {}))


@case.command("decide")
def case_decide(
    key: str, decision: str, reason: str, home: Home = DEFAULT_HOME, by: By = "it", tip: str = ""
) -> None:
    """Quyết định một hồ sơ · NOTED, ACCEPT_VOID or ADOPT_BRANCH, with a reason."""
    arguments = {"key": key, "decision": decision, "reason": reason, "by": by, "tip": tip}
    call(home, "case.decide", arguments)


@cli.command()
def export(home: Home = DEFAULT_HOME, out: Annotated[Path | None, typer.Option()] = None) -> None:
    """Xuất số liệu · totals of the folded state as JSON."""
    result = call(home, "export", {})
    if out is None:
        show(result)
    else:
        out.write_text(json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


@cli.command()
def check(home: Home = DEFAULT_HOME) -> None:
    """Kiểm tra toàn bộ · chains, signatures, folded rows, debits and credits."""
    result = call(home, "check", {})
    for sentence in result["findings"]:
        typer.echo(sentence)
    if (missing := len(result["photos_missing"])) > 0:
        typer.echo(f"{missing}/{result['photos']} ảnh chưa về, sẽ được gửi sau · photos have not come yet", err=True)
    if result["findings"]:
        raise typer.Exit(1)
    typer.echo(f"{result['facts']} bản ghi: mọi chuỗi, chữ ký và số dư đều đúng · records, all is well")


def main() -> None:
    """Entry of `python -m hub`."""
    refuse_optimised()
    try:
        cli()
    except CallError as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
