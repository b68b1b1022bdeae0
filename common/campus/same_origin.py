"""Refuses what a web page from elsewhere makes a browser send to a service of this machine.

A browser says from where a request comes: `Sec-Fetch-Site`, and `Origin` with everything but a plain GET. Programs
send neither, and are served. A page that the service itself gave out is of the same origin.
"""

import ipaddress
from urllib.parse import urlsplit

from flask import Request

from campus.problems import Problem

READING = frozenset({"GET", "HEAD", "OPTIONS"})


def check_origin(asked: Request) -> None:
    """Let a request pass, or raise a 403 Problem if it changes something and a page from elsewhere sent it."""
    if asked.method in READING:
        return
    site, origin = asked.environ.get("HTTP_SEC_FETCH_SITE", "none"), asked.environ.get("HTTP_ORIGIN")
    if site not in ("none", "same-origin") or (origin is not None and not _ours(asked, origin)):
        raise Problem(403, "other-origin", "A web page from elsewhere must not change anything here.")


def _ours(asked: Request, origin: str) -> bool:
    """Return whether an origin is the address that was asked, and no name that could be made to point here."""
    address = urlsplit(f"//{asked.host}")
    return origin == f"{asked.scheme}://{asked.host}" and _is_number(address.hostname or "")


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
