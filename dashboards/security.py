"""Keeps the app to this machine and to its own pages.

Dash answers any Host header and sets no security headers. A page of another origin could then read a study by pointing its
own name at 127.0.0.1 (DNS rebinding), which only a check of Host and Origin prevents.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_REQUEST_BYTES = 1 << 20
"""The app receives clicks and choices, never files."""


def protect(server: Flask, *, hosts: Iterable[str] = LOOPBACK, script_hashes: Iterable[str] = ()) -> None:
    """Refuse requests that name another host or come from another origin; add security headers to every answer.

    Parameters
    ----------
    server
        The Flask application below Dash.
    hosts
        Names, without port, under which the app may be addressed.
    script_hashes
        Hashes of the inline scripts that Dash writes into its page, as `Dash.csp_hashes()` returns them.
    """
    allowed = frozenset(hosts)
    headers = security_headers(script_hashes)
    server.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES

    def only_own_pages() -> None:
        if _host_name(request.host) not in allowed:
            abort(403, "this address is not one of the app's own")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            abort(403, "the request comes from another site")
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.method != "GET":
            abort(403, "the request comes from another site")

    def with_headers(response: Response) -> Response:
        for name, value in headers.items():
            response.headers[name] = value
        return response

    server.before_request(only_own_pages)
    server.after_request(with_headers)


def security_headers(script_hashes: Iterable[str] = ()) -> dict[str, str]:
    """Headers of every answer: nothing is loaded from, or framed by, another site."""
    scripts = " ".join(["'self'", *script_hashes])
    policy = {
        "default-src": "'none'", "script-src": scripts,
        "style-src": "'self' 'unsafe-inline'",  # plotly and React set styles inline
        "img-src": "'self' data: blob:", "font-src": "'self'", "connect-src": "'self'",
        "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{k} {v}" for k, v in policy.items()),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


def _host_name(host: str) -> str:
    """Host without port; an IPv6 address without its brackets."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
