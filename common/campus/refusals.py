"""Answers to requests that reach no view: too slow, too large, or not to be read."""

import logging
import re
from http import HTTPStatus

from gunicorn.http import errors

from campus import ids
from campus.partial_request import BODY_SECONDS, HEAD_SECONDS, PartialRequest
from campus.problems import Problem

log = logging.getLogger("campus")

_DETAILS = {
    408: f"A request's header must arrive within {HEAD_SECONDS:.0f} s, its body within {BODY_SECONDS:.0f} s.",
    413: "The body is too large.",
    431: "The head is too large.",
}
_STATUS = {  # of what gunicorn's parser says; 400 for everything else
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
}
_REQUEST_ID = re.compile(rb"\r\nx-request-id:[ \t]*([\x21-\x7e]{1,128})[ \t]*\r\n", re.IGNORECASE)


def refused(request: PartialRequest, status: int) -> bytes:
    """Return the whole answer to a request of which no more will be read: 408, 413 or 431."""
    return _answer(request, status, _DETAILS[status])


def failed(request: PartialRequest, error: BaseException) -> bytes:
    """Return the whole answer to a request that gunicorn could not read, or that made it fail."""
    if isinstance(error, errors.ParseException):
        return _answer(request, _STATUS.get(type(error), 400), str(error))
    log.error("unexpected error", exc_info=error)
    return _answer(request, 500, "The service failed; its log says why.")


def _answer(request: PartialRequest, status: int, detail: str) -> bytes:
    given = _REQUEST_ID.search(bytes(request.data))
    request_id = given[1].decode() if given else ids.new_request_id()
    log.warning("request refused", extra={"fields": {"request_id": request_id, "status": status, "why": detail}})
    kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
    return Problem(status, kind, detail).as_response(request_id=request_id)
