"""The browser app of one study."""

from collections.abc import Callable
from urllib.parse import parse_qs, unquote

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from dash.development.base_component import Component
from dash.exceptions import DependencyException, PreventUpdate
from flask import Flask, abort, request
from werkzeug.serving import BaseWSGIServer, make_server

from correlate.study import Study
from dashboards.pages import cycle, overview, relate, sample
from dashboards.pages.shell import empty, frame
from dashboards.security import protect
from dashboards.source import Source
from dashboards.tiles import Tiles
from datasets.errors import DatasetError

TITLE = "correlate"


def create_app(study: Study) -> Dash:
    """The app of one study, ready to serve; it reads the study and changes nothing.

    Addresses are `/`, `/sample/<name>?at=<acquisition>`, `/cycle/<name>`, `/relate` and `/tiles/...`. Names are looked up in
    the study's sheet and catalogue; none of them ever becomes a path.
    """
    source = Source(study)
    app = Dash(
        __name__,
        title=f"{study.sheet.title} · {TITLE}",
        update_title=None,
        suppress_callback_exceptions=True,
        assets_folder="assets",
        compress=False,
        serve_locally=True,
    )
    app.index_string = app.index_string.replace("<html>", '<html lang="en">')
    app.layout = html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="scheme"),
            html.Div(id="page"),
        ]
    )

    @app.callback(Output("page", "children"), Input("url", "pathname"), Input("url", "search"))
    def show(pathname: str | None, search: str | None) -> Component:
        try:
            return page_at(source, pathname or "/", search or "")
        except DatasetError as error:  # a damaged unit, say: the other pages still stand
            return frame(study.sheet, "", "Cannot be shown", empty("This page cannot be shown", str(error), "correlate verify"))

    @app.callback(
        Output("url", "pathname"),
        Output("url", "search"),
        Input("sample-picker", "value"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def pick(name: str | None, pathname: str | None) -> tuple[str, str]:
        address = picked(source, name, pathname or "/")
        if address is None:
            raise PreventUpdate
        return address, ""

    app.clientside_callback(ClientsideFunction("shell", "scheme"), Output("scheme", "data"), Input("scheme-button", "n_clicks"))
    sample.register(app, source)
    cycle.register(app, source)
    relate.register(app, source)
    server: Flask = app.server
    Tiles(source.tiled).serve(server)
    protect(server, script_hashes=app.csp_hashes())
    server.before_request(lambda: _only_known_callbacks(app))
    server.register_error_handler(DependencyException, lambda error: (f"not found: {type(error).__name__}", 404))
    return app


def _only_known_callbacks(app: Dash) -> None:
    """Answer a call that names no callback, or lacks its parts, with 400 instead of a failure inside Dash."""
    if request.method != "POST" or not request.path.endswith("/_dash-update-component"):
        return
    body = request.get_json(silent=True)
    callback = app.callback_map.get(str(body.get("output"))) if isinstance(body, dict) else None
    inputs, outputs = (body.get("inputs"), body.get("outputs")) if isinstance(body, dict) else (None, None)
    complete = isinstance(outputs, dict | list) and isinstance(inputs, list)
    if callback is None or not complete or len(inputs or ()) != len(callback["inputs"]):
        abort(400)


def page_at(source: Source, pathname: str, search: str) -> Component:
    """The page that an address names; an address that names nothing gets a page that says so."""
    parts = [unquote(part) for part in pathname.strip("/").split("/") if part]
    first = next(iter(source.sheet.samples), None)
    pages: dict[str, Callable[[], Component]] = {"": lambda: overview.page(source), "relate": lambda: relate.page(source)}
    head = parts[0] if parts else ""
    if head in pages and len(parts) <= 1:
        return pages[head]()
    if head in ("sample", "cycle") and len(parts) <= 2:
        name = parts[1] if len(parts) == 2 else first
        if name in source.sheet.samples:
            if head == "cycle":
                return cycle.page(source, str(name))
            at = parse_qs(search.lstrip("?")).get("at", [""])[0]
            return sample.page(source, str(name), at)
        if name is None:
            return overview.page(source)
    return frame(
        source.sheet, "", "Not found", empty("There is no such page", "The study has no sample or page of this name.", "")
    )


def picked(source: Source, name: str | None, pathname: str) -> str | None:
    """The address after another sample was picked on a page; None if that sample is already shown."""
    parts = [unquote(part) for part in pathname.strip("/").split("/") if part]
    head = parts[0] if parts and parts[0] in ("sample", "cycle") else "sample"
    shown = parts[1] if len(parts) > 1 else next(iter(source.sheet.samples), None)
    return None if name == shown or name not in source.sheet.samples else f"/{head}/{name}"


def serve(study: Study, *, port: int = 8050) -> BaseWSGIServer:
    """A server bound to 127.0.0.1, not yet running: call `.serve_forever()`; port 0 takes any free one, see `.server_port`."""
    return make_server("127.0.0.1", port, create_app(study).server, threaded=True)
