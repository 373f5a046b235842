"""The service as an ASGI application, in one process: look-ups by hand, which costs less; the rest by Starlette."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from conf.base import format_bytes
from conf.ids import IdKind
from conf.serve import ServeSettings
from publish.errors import PublishError
from publish.read.async_reader import AsyncReader
from publish.read.rules import Answer, ExposureSink
from publish.serve.answers import answer_json, batch_json, problem_json
from publish.serve.metrics import ExposureCounts, ServeMetrics
from publish.serve.pages import openapi, page
from publish.serve.problems import RETRY_SECONDS, Problem, problem_of
from publish.serve.rate import Rate
from publish.serve.requests import LISTS, Asked, RequestReader

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_JSON = (b"content-type", b"application/json")
_FRESH = (b"cache-control", b"no-store")
"""No proxy may answer for us: nobody would know what was answered, and a rollback would not reach everybody."""
_BEARER = b"bearer "
_BODY_SECONDS = 10
_THROWN_AWAY = 4
"""Bodies of up to so many times the bound are read to their end."""


class Product(NamedTuple):
    """What the service must know of its product."""

    name: str
    ids: IdKind


class ServeApp:
    """Answers requests about one product."""

    def __init__(
        self,
        product: Product,
        bounds: ServeSettings,
        reader: AsyncReader,
        metrics: ServeMetrics,
        *,
        tokens: Sequence[str] = (),
        exposures: ExposureSink | None = None,
    ) -> None:
        self._reader, self._metrics, self._exposures, self._bounds = reader, metrics, exposures, bounds
        self._requests = RequestReader(product.name, product.ids, bounds)
        self._product = product
        self._tokens = [token.encode() for token in tokens]
        self._rate = None if bounds.max_requests_per_second is None else Rate(bounds.max_requests_per_second)
        self._pages = _pages(self)
        self.in_flight = 0
        """Look-up requests that are being answered."""
        self.is_draining = False
        """Whether the process is about to end, so that requests should go elsewhere."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw_path = scope["raw_path"]
        if not raw_path.startswith(LISTS) or raw_path[len(LISTS) : len(LISTS) + 1] not in (b"", b"/"):
            await self._pages(scope, receive, send)
            return
        started, route = time.perf_counter(), "batch" if raw_path == LISTS else "list"
        try:
            self._admit(scope, route)
            self.in_flight += 1
            try:
                outcome, body = await (self._batch(scope, receive) if route == "batch" else self._list(scope))
            finally:
                self.in_flight -= 1
        except Exception as error:  # noqa: BLE001  # whatever it is, who asked gets a word
            await self._refuse(problem_of(error), route, started, send)
            return
        await _respond(send, 200, body.encode())
        self._metrics.observe(route, outcome, time.perf_counter() - started)

    async def _list(self, scope: Scope) -> tuple[str, str]:
        asked = self._requests.asked(scope["raw_path"], scope["query_string"])
        answer = await self._reader.lookup(asked.user_id, asked.exclude, asked.n)
        body = answer_json(answer)
        self._keep(answer, asked.surface)
        return answer.kind, body

    async def _batch(self, scope: Scope, receive: Receive) -> tuple[str, str]:
        asked = self._requests.batch(await _body(scope, receive, self._bounds))
        found = iter(await self._reader.lookups([one[:3] for one in asked if isinstance(one, Asked)]))
        results = [(one, next(found)) if isinstance(one, Asked) else one for one in asked]
        if not any(isinstance(result, Answer) for _, result in results):
            for _, error in results:
                if isinstance(error, PublishError) and problem_of(error).may_be_repeated:
                    raise error  # no Redis: who balances the load must see it
        return "ok", batch_json([self._part(one, result) for one, result in results])

    def _part(self, asked: Asked | str, result: Answer | Exception) -> str:
        """Returns the part of a batch's answer that is about one user."""
        if isinstance(asked, Asked) and isinstance(result, Answer):
            try:
                part = answer_json(result)
                self._keep(result, asked.surface)
                return part
            except PublishError as error:
                result = error
        assert isinstance(result, Exception)
        problem = problem_of(result)
        self._metrics.count_problem(problem.word)
        return problem_json(problem, asked.user_id if isinstance(asked, Asked) else asked)

    def _keep(self, answer: Answer, surface: str) -> None:
        """Counts an answer that goes out, and logs it as an exposure."""
        self._metrics.count_answer(answer.kind)
        if self._exposures is not None:
            self._exposures.log(answer, surface)

    async def _refuse(self, problem: Problem, route: str, started: float, send: Send) -> None:
        headers = []
        if problem.may_be_repeated:
            headers.append((b"retry-after", b"%d" % RETRY_SECONDS))
        if problem.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if problem.allow:
            headers.append((b"allow", problem.allow.encode()))
        if problem.status == 413:  # what is left of the body is not read
            headers.append((b"connection", b"close"))
        await _respond(send, problem.status, problem_json(problem).encode(), headers)
        self._metrics.count_problem(problem.word)
        self._metrics.observe(route, "failed" if problem.status >= 500 else "refused", time.perf_counter() - started)

    def _admit(self, scope: Scope, route: str) -> None:
        """Raises Problem for a request that is not to be answered, whatever it asks for."""
        method, allowed = scope["method"], "POST" if route == "batch" else "GET"
        if method != allowed:
            raise Problem(405, "bad_method", f"{scope['path']:.100} is asked for by {allowed}", allow=allowed)
        if self._tokens and not self._is_known(scope["headers"]):
            raise Problem(401, "bad_token", "send `Authorization: Bearer TOKEN` with the service's token")
        if self._rate is not None and not self._rate.take():
            raise Problem(429, "too_many", "more requests per second than serve.max_requests_per_second allows")
        if self.in_flight >= self._bounds.max_in_flight:
            raise Problem(503, "overloaded", "more requests at once than serve.max_in_flight allows")

    def _is_known(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Returns whether a request has one of the tokens; how long that takes tells nothing about them."""
        given = next((value for name, value in headers if name == b"authorization"), b"")
        if given[: len(_BEARER)].lower() != _BEARER:
            return False
        token = given[len(_BEARER) :].strip()
        return sum(hmac.compare_digest(token, known) for known in self._tokens) > 0

    async def healthz(self, _: Request) -> Response:
        """The process lives."""
        return PlainTextResponse("alive\n", headers=_NO_STORE)

    async def readyz(self, _: Request) -> Response:
        """Requests may be sent here: Redis answers, something is published, and the process goes on."""
        if self.is_draining:
            return _not_ready(Problem(503, "draining", "this process is about to end; ask another"))
        try:
            pointer = await self._reader.pointer()
        except Exception as error:  # noqa: BLE001  # whatever it is, the service is not ready
            return _not_ready(problem_of(error))
        document = {"treatment": pointer.treatment, "control": pointer.control, "share_bp": pointer.share_bp}
        return JSONResponse(document, headers=_NO_STORE)

    async def metrics(self, _: Request) -> Response:
        """Counts for Prometheus, of all processes."""
        self.tell_metrics()
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    def count_refusal(self, word: str) -> None:
        """Counts a request that was refused before it was one."""
        self._metrics.count_problem(word)

    def tell_metrics(self) -> None:
        """Brings the metrics up to date with what counts by itself."""
        counts = self._exposures if isinstance(self._exposures, ExposureCounts) else None
        self._metrics.set_state(self._reader.pointer_age, self.in_flight, counts)

    async def refresh(self) -> None:
        """Reads the pointer before a look-up would have to; that Redis is away is the look-ups' to say."""
        with suppress(PublishError):
            await self._reader.pointer()


_NO_STORE = {"cache-control": "no-store"}


def _pages(app: ServeApp) -> Starlette:
    """Returns the routes beside the look-ups; none of them wants a token."""
    return Starlette(
        routes=[
            Route("/healthz", app.healthz),
            Route("/readyz", app.readyz),
            Route("/metrics", app.metrics),
            Route("/openapi.json", _openapi),
            Route("/", _page),
        ],
        exception_handlers={404: _no_page, 405: _no_page},
    )


async def _openapi(_: Request) -> Response:
    return JSONResponse(openapi())


async def _page(_: Request) -> Response:
    return HTMLResponse(page())


async def _no_page(request: Request, error: Exception) -> Response:
    allow = (getattr(error, "headers", None) or {}).get("Allow", "")
    problem = (
        Problem(405, "bad_method", f"{request.url.path:.100} is asked for by {allow}")
        if allow
        else Problem(404, "not_found", f"there is no {request.url.path:.100}; / says what there is")
    )
    return Response(
        problem_json(problem), problem.status, {"allow": allow} if allow else None, media_type="application/json"
    )


def _not_ready(problem: Problem) -> Response:
    headers = {**_NO_STORE, "retry-after": str(RETRY_SECONDS)}
    return Response(problem_json(problem), 503, headers, media_type="application/json")


async def _body(scope: Scope, receive: Receive, bounds: ServeSettings) -> bytes:
    """Returns a request's body; raises Problem when it is too long, or when it does not come.

    One that is a little too long is read to its end and thrown away: who is still sending would see a reset connection
    instead of the answer.
    """
    most = bounds.max_body_bytes
    too_long = Problem(413, "too_long", f"the body is longer than {format_bytes(most)}")
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if int(announced) > _THROWN_AWAY * most:  # the parser has refused what is no number
        raise too_long
    body, length, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while more:
                message = await receive()
                part, more = message.get("body", b""), message.get("more_body", False)
                length += len(part)
                if length <= most:
                    body += part
                elif length > _THROWN_AWAY * most:
                    raise too_long
    except TimeoutError:
        raise Problem(408, "too_slow", f"the body did not come within {_BODY_SECONDS} seconds") from None
    if length > most:
        raise too_long
    return bytes(body)


async def _respond(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, _FRESH, length, *headers]})
    await send({"type": "http.response.body", "body": body})
