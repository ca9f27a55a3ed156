"""The hub's HTTP server: handhelds' calls, the page, and the door for the command line of the same machine."""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from hub.admin import ACTIONS, AdminError
from hub.api.devices import DeviceApi, Handler
from hub.app import Hub
from hub.office import OfficeError
from hub.web.views import add_page
from protocol.wire import UPLOAD_BYTES_MAX

KEEPALIVE_SECONDS = 30  # Half-sent headers are cut after this; the library's default holds them for an hour.
SERVING_FILE = "serving.json"
BODY_MAX = UPLOAD_BYTES_MAX + 64 * 2**10


@dataclass(slots=True)
class Server:
    """A running server. url: where it listens."""

    runner: web.AppRunner
    url: str
    home: Path

    async def stop(self) -> None:
        """Stop listening."""
        (self.home / SERVING_FILE).unlink(missing_ok=True)
        await self.runner.cleanup()


async def serve(hub: Hub, host: str, port: int) -> Server:
    """Listen. The address and a token for the command line go into the home folder."""
    token = secrets.token_urlsafe(32)
    app = web.Application(client_max_size=BODY_MAX)
    DeviceApi(hub).add_to(app)
    add_page(app, hub)
    app.router.add_post("/admin/{action}", admin_handler(hub, token))
    runner = web.AppRunner(app, auto_decompress=False, keepalive_timeout=KEEPALIVE_SECONDS, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    bound = runner.addresses[0]
    url = f"http://{host}:{bound[1]}"
    _leave_address(hub.home.folder, {"url": url, "token": token, "pid": os.getpid()})
    return Server(runner, url, hub.home.folder)


def _leave_address(folder: Path, address: dict[str, str | int]) -> None:
    """Where the server listens, for the command line of the same user; replaced in one step."""
    draft = folder / f"{SERVING_FILE}.new"
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(address), encoding="utf-8")
    draft.replace(folder / SERVING_FILE)


def admin_handler(hub: Hub, token: str) -> Handler:
    """The local door: an action by name, JSON in and out, for whoever can read the token in the home folder."""

    async def answer(request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if not secrets.compare_digest(given, f"Bearer {token}".encode()) or "Origin" in request.headers:
            return web.json_response({"error": "not allowed"}, status=403)
        action = ACTIONS.get(request.match_info["action"])
        if action is None:
            return web.json_response({"error": "there is no such action"}, status=404)
        try:
            arguments = json.loads(await request.read())
            if not isinstance(arguments, dict):
                raise AdminError("arguments must be an object")
            return web.json_response(await action(hub, arguments))
        except (AdminError, OfficeError, ValueError, OSError) as error:
            return web.json_response({"error": str(error)}, status=400)

    return answer
