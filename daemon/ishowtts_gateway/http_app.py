"""The HTTP interface: page, API, stream, metrics and health, behind the checks of `http_security`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ishowtts import __version__
from ishowtts_gateway.appliances.appliance_directory import ApplianceDirectory
from ishowtts_gateway.appliances.appliance_requests import ApplianceRequests
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.api_routes import ApiRoutes, json_response, read_json
from ishowtts_gateway.http.event_stream import EventStream
from ishowtts_gateway.http.http_response import error_body
from ishowtts_gateway.http.http_security import Access, AccessRules, HttpSecurity
from ishowtts_gateway.http.page_files import PageFiles
from ishowtts_gateway.metrics.prometheus_metrics import Metrics, content_type
from ishowtts_gateway.openai.speech_routes import SpeechRoutes
from ishowtts_gateway.renders.render_client import RenderClient

_FAULTS = {404: "there is nothing at this address", 405: "this address does not take that method"}


def make_app(
    rules: AccessRules,
    directory: ApplianceDirectory,
    requests: ApplianceRequests,
    renders: RenderClient,
    metrics: Metrics,
) -> ASGIApp:
    """Builds the application.

    Args:
        rules: Who may use it.
        directory: What is known of the appliances.
        requests: Asks the appliances.
        renders: Has them render texts.
        metrics: Makes the text of `/metrics`.
    """
    access = Access(rules)
    pages = _Pages(access)
    started = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    stream = EventStream(directory, {"version": __version__, "started": started})

    async def show_metrics(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        return Response(metrics.render(accept), headers={"content-type": content_type(accept)})

    async def show_health(_request: Request) -> Response:
        return json_response({"status": "ok", "version": __version__})

    async def show_readiness(_request: Request) -> Response:
        if not directory.broker_connected:
            raise GatewayError(503, directory.broker_detail or "the gateway is not connected to the broker")
        return json_response({"status": "ok"})

    routes = [
        Route("/", pages.index),
        Route("/login", pages.login),
        Route("/static/{name}", pages.static),
        Route("/api/session", pages.session, methods=["GET", "POST", "DELETE"]),
        Route("/api/stream", stream, methods=["GET"]),
        *ApiRoutes(directory, requests).routes(),
        *SpeechRoutes(renders).routes(),
        Route("/metrics", show_metrics),
        Route("/health", show_health),
        Route("/ready", show_readiness),
    ]
    # A redirect would name a host, and no address of ours ends with a slash.
    router = Router(routes, redirect_slashes=False)
    guarded = ExceptionMiddleware(router, handlers={HTTPException: _http_fault})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        # Without `app` in the scope, starlette answers in plain text where it would raise HTTPException.
        await guarded({**scope, "app": router}, receive, send)

    return HttpSecurity(app, access)


class _Pages:
    """The page, the login page, their files, and sessions."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._files = PageFiles()

    async def index(self, request: Request) -> Response:
        return self._files.respond(request, "index.html")

    async def login(self, request: Request) -> Response:
        if self._access.signed_in(request.scope):
            return RedirectResponse("./", 303)
        return self._files.respond(request, "login.html")

    async def static(self, request: Request) -> Response:
        return self._files.respond(request, request.path_params["name"])

    async def session(self, request: Request) -> Response:
        if request.method == "POST":
            body = await read_json(request)
            cookie = self._access.sign_in(body.get("token") if isinstance(body, dict) else None, request.scope)
            return json_response({"signed_in": True}, {"set-cookie": cookie})
        if request.method == "DELETE":
            return json_response({"signed_in": False}, {"set-cookie": self._access.sign_out(request.scope)})
        signed_in = self._access.signed_in(request.scope)
        return json_response({"signed_in": signed_in, "needs_token": self._access.needs_token})


def _http_fault(request: Request, error: Exception) -> Response:
    """Answers what no route takes."""
    if not isinstance(error, HTTPException):
        raise error
    headers: dict[str, Any] = dict(error.headers or {})
    if error.status_code == 405 and request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    fault = GatewayError(error.status_code, _FAULTS.get(error.status_code, error.detail))
    return Response(error_body(fault, request.url.path), fault.status, headers, media_type="application/json")
