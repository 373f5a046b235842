"""The inspector's pages over HTTP: each is made when it is asked for, of what files and Redis say then."""

import base64
import hashlib
import logging
import re
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from conf.errors import ConfigError, DiscoveryError
from conf.experiment import CONTROL_SUFFIX
from conf.ids import UserId
from jobs.inspector.compare import changed_inputs, compare, gate_reports
from jobs.inspector.erasures import NotKnown, forgotten_among
from jobs.inspector.installation import BadId, Installation, NotHere, Product
from jobs.inspector.listed import LISTS, ListCache
from jobs.inspector.look import beside_before, categories_of, look_at_user
from jobs.inspector.pages import link, render
from jobs.inspector.product import PAGES, lists_of, standing_of, state_of
from jobs.inspector.source import look_at
from jobs.run.manifest import KeptRun, NoRun
from jobs.storage.bound_folder import ChangedSince
from jobs.storage.errors import NotFinished
from jobs.storage.gate_reports import CHAMPION_INTERACTIONS, DRIFT_GATES, report_file
from publish.clock import Clock, utc_now
from publish.errors import StoreUnreachable
from publish.runs.pointer import PointerStore

_LOG = logging.getLogger(__name__)
_WEEKS = 16
"""Runs whose lists a source's page counts."""
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_OF_A_FILE = "default-src 'none'; img-src data:; base-uri 'none'; frame-ancestors 'none'; sandbox"
_PREPARED = 2
"""Newest runs whose first look is prepared for."""
_GATES = (
    report_file("inputs"),
    report_file("interactions"),
    CHAMPION_INTERACTIONS,
    report_file("lists"),
    *map(report_file, DRIFT_GATES),
)
_COLUMNS = 20
"""Columns of a drawing, at most."""
_MOST = 40
"""Interactions and events of a user that are shown."""


class Gone(DiscoveryError):
    """What was asked for is forgotten."""


STATUSES: tuple[tuple[type[DiscoveryError], int, str], ...] = (
    (BadId, 400, "That cannot be an id"),
    (NotHere, 404, "There is no such thing"),
    (Gone, 410, "Nothing is shown"),
    (NoRun, 404, "There is no such run"),
    (ConfigError, 400, "That cannot be"),
    (NotFinished, 404, "The run did not come that far"),
    (NotKnown, 503, "Nobody can be shown now"),
    (StoreUnreachable, 503, "Redis does not answer"),
    (ChangedSince, 409, "The run is not as it was left"),
    (DiscoveryError, 500, "That cannot be read"),
)
"""Kind of an error → status and title of its page; the first that fits."""
Page = Callable[["Inspector", Request], Response]


@dataclass(eq=False)
class Inspector:
    """The products that are looked at, and what was counted of their runs."""

    installation: Installation
    clock: Clock = utc_now
    listed: ListCache = field(default_factory=ListCache)
    _heavy: threading.Lock = field(default_factory=threading.Lock)
    """Comparisons and sources one after another, so that memory stays bounded."""

    def first(self, request: Request) -> Response:
        """Leads to the first product."""
        del request
        return RedirectResponse(link(self.installation.products[0].name), 307)

    def product(self, request: Request) -> Response:
        """What serves, to whom, since when."""
        product = self._product(request)
        return self._page("product.html", product, state=state_of(product, self.clock()))

    def run(self, request: Request) -> Response:
        """One run."""
        product = self._product(request)
        run = product.run(request.path_params["run"])
        manifest = run.manifest
        train = manifest.stages.get("train")
        before = manifest.serving_before
        return self._page(
            "run.html",
            product,
            run=run,
            request=manifest.request,
            lists=lists_of(manifest),
            gates=gate_reports(run, _GATES),
            inputs=changed_inputs(run, run),
            status=standing_of(product, manifest.request.run_id),
            model=None if train is None else train.facts.get("model"),
            decision=None if train is None else train.facts.get("decision"),
            before_is_kept=before in product.run_ids(),
            shown_run=manifest.request.run_id,
        )

    def file(self, request: Request) -> Response:
        """A page in a run's folder, as the run wrote it; it runs nothing and fetches nothing."""
        product = self._product(request)
        run, name = product.run(request.path_params["run"]), request.path_params["file"]
        if name not in PAGES or not run.folder.exists(name):
            raise NotHere(f"run {run.manifest.request.run_id} has no page {name!r:.100}")
        content = run.folder.read_bytes(name)
        return HTMLResponse(content, headers={"content-security-policy": policy_of(content.decode())})

    def report(self, request: Request) -> Response:
        """Leads to a page of a run from where DISCOVERY_RUNS_URL lets Airflow's button *Run report* look for it."""
        product, run, file = (request.path_params[name] for name in ("product", "run", "file"))
        return RedirectResponse(link(product, f"run/{run}/{file}"), 307)

    def compare(self, request: Request) -> Response:
        """Two runs side by side."""
        product = self._product(request)
        before, after = (request.query_params.get(name, "") for name in ("before", "after"))
        runs = product.run(before), product.run(after)
        with self._heavy:
            found = compare(product.archive, *runs, self.listed)
        some = () if found.overlap is None else [one.user for one in found.overlap.changed]
        forgotten, fault = _forgotten(product, some)
        changed = [] if fault else found.changed(forgotten)
        return self._page(
            "compare.html",
            product,
            before=before,
            after=after,
            found=found,
            changed=changed,
            users_fault=fault,
            shown_run=after,
        )

    def source(self, request: Request) -> Response:
        """One source in a run."""
        product = self._product(request)
        text = request.query_params.get("id", "")
        source = product.parsed(text)
        kept = [run for run in product.runs()[0] if run.folder.finished(LISTS)]
        asked = request.query_params.get("run")
        run = product.run(asked) if asked else self._usual(product, kept)
        with self._heavy:
            view = look_at(product, run, source, self.listed, kept[:_WEEKS])
        self._count_soon(product, [one for one, week in zip(kept, view.weeks, strict=False) if week.lists is None])
        forgotten, fault = _forgotten(product, view.candidates)
        places = [] if view.holders is None else view.holders.by_place
        shown = _places(places)
        return self._page(
            "source.html",
            product,
            view=view,
            places=shown,
            told_places=", ".join(f"place {place}: {count:,}" for place, count in places),
            holders=[] if fault else view.shown_holders(forgotten),
            users_fault=fault,
            asked_source=text,
            shown_run=run.manifest.request.run_id,
        )

    def user(self, request: Request) -> Response:
        """Why one user has a list; each look is noted before anything is shown."""
        product = self._product(request)
        text, about = request.query_params.get("id", ""), request.query_params.get("source")
        user, source = product.parsed(text), product.parsed(about) if about else None
        address = "an unknown address" if request.client is None else request.client.host
        run = request.query_params.get("run") or None
        said, redis_fault = look_at_user(product, user, address, run, source, self.clock)
        if said.state == "forgotten":
            raise Gone(f"this user of {product.name} was forgotten; nothing of them is shown, of no run")
        if said.state == "unknown":
            raise NotHere(
                f"run {said.run} of {product.name} knows no user {text!r:.300}: no events in the windows, nothing that "
                "a list must not hold, no list of their own; in the share a look-up answers the fallback list"
            )
        return self._page(
            "user.html",
            product,
            said=said,
            categories=categories_of(product, said, _MOST),
            redis_fault=redis_fault,
            side_by_side=[*beside_before(said)],
            events=sorted(said.events, key=lambda event: event.day, reverse=True),
            most=_MOST,
            asked_user=text,
            shown_run=said.run or "",
        )

    def prepare_soon(self) -> None:
        """Makes in the background what first looks at the newest runs would wait for."""
        threading.Thread(target=self._prepare, daemon=True).start()

    def _prepare(self) -> None:
        for product in self.installation.products:
            with suppress(DiscoveryError, OSError):  # the page of the run says what is wrong with it
                newest = [run for run in product.runs()[0] if run.folder.finished(LISTS)][:_PREPARED]
                for run in newest:
                    product.archive.open(run.manifest.request.run_id).prepare()
                self._count(product, newest)

    def _count_soon(self, product: Product, runs: Collection[KeptRun]) -> None:
        """Counts what the lists of runs hold, in the background, so that the next page has it."""
        if runs:
            threading.Thread(target=self._count, args=(product, runs), daemon=True).start()

    def _count(self, product: Product, runs: Collection[KeptRun]) -> None:
        for run in runs:
            with suppress(DiscoveryError, OSError), self._heavy:  # the page of the run says what is wrong with it
                self.listed.get(product.archive, run)

    def _usual(self, product: Product, kept: Collection[KeptRun]) -> KeptRun:
        """Returns the run that serves, or the newest with lists; raises NotHere."""
        serving = None
        with suppress(DiscoveryError):
            serving = PointerStore(product.client(), product.name).read().treatment
        by_id = {run.manifest.request.run_id: run for run in kept}
        found = by_id.get(serving or "")
        if found is None:
            found = next((run for name, run in by_id.items() if not name.endswith(CONTROL_SUFFIX)), None)
        if found is None:
            raise NotHere(f"no run of {product.name} has lists yet")
        return found

    def _product(self, request: Request) -> Product:
        return self.installation.product(request.path_params["product"])

    def _page(self, template: str, product: Product | None, code: int = 200, /, **values: Any) -> Response:
        usual = {"asked_user": "", "asked_source": "", "shown_run": ""}
        given = {**usual, "products": self.installation.products, "product": product, **values}
        return HTMLResponse(render(template, **given), code)

    def problem(self, request: Request, error: Exception) -> Response:
        """The page for what cannot be shown."""
        status, title, text = _problem_of(error)
        name = request.path_params.get("product")
        product = next((one for one in self.installation.products if one.name == name), None)
        return self._page("problem.html", product, status, status=status, title=title, text=text)


def create_app(inspector: Inspector) -> Starlette:
    """Returns the application, without the guard around it."""
    pages: dict[str, Callable[[Request], Response]] = {
        "/": inspector.first,
        "/p/{product}": inspector.product,
        "/p/{product}/run/{run}": inspector.run,
        "/p/{product}/run/{run}/{file:path}": inspector.file,
        "/runs/{product}/{run}/{file:path}": inspector.report,
        "/p/{product}/compare": inspector.compare,
        "/p/{product}/source": inspector.source,
        "/p/{product}/user": inspector.user,
    }
    return Starlette(
        routes=[Route("/style.css", _style), *(Route(at, _answering(inspector, page)) for at, page in pages.items())],
        exception_handlers={404: _not_found(inspector)},
    )


def _answering(inspector: Inspector, page: Callable[[Request], Response]) -> Callable[[Request], Any]:
    """Returns a page that is made on a thread, and whose errors are pages too."""

    async def answer(request: Request) -> Response:
        try:
            return await run_in_threadpool(page, request)
        except Exception as error:  # noqa: BLE001  # whatever it is, it becomes a page
            if not isinstance(error, DiscoveryError):
                _LOG.exception("inspect   %s", request.url.path)
            return inspector.problem(request, error)

    return answer


def _not_found(inspector: Inspector) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        del error
        return inspector.problem(request, NotHere(f"there is no page {request.url.path:.200}"))

    return answer


async def _style(request: Request) -> Response:
    del request
    return Response(render("inspector.css"), media_type="text/css")


def policy_of(page: str) -> str:
    """Returns the content policy of a page that a run wrote: its own styles, nothing else, and no rights of ours."""
    digests = (hashlib.sha256(style.encode()).digest() for style in _STYLE.findall(page))
    styles = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
    return f"{_OF_A_FILE}; style-src {styles}"


def _problem_of(error: Exception) -> tuple[int, str, str]:
    for kind, status, title in STATUSES:
        if isinstance(error, kind):
            return status, title, str(error)
    return 500, "This page has a fault", f"{type(error).__name__}: the log of `discovery inspect` says where"


def _forgotten(product: Product, users: Collection[UserId]) -> tuple[frozenset[UserId], str | None]:
    """Returns who of the users is forgotten, or why that is not known."""
    try:
        return forgotten_among(product, users), None
    except NotKnown as fault:
        return frozenset(), str(fault)


def _places(found: list[tuple[int, int]]) -> tuple[list[str], list[int]]:
    """Returns labels and counts of at most so many columns: places, or as many places together."""
    last = max((place for place, _ in found), default=1)
    size = -(-last // _COLUMNS)
    counts = [0] * -(-last // size)
    for place, count in found:
        counts[(place - 1) // size] += count
    return [str(1 + at * size) for at in range(len(counts))], counts
