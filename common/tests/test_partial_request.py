"""When a request is complete, however its bytes are cut."""

import pytest
from campus.partial_request import MAX_BODY, MAX_CHUNKED, MAX_HEAD, PartialRequest
from hypothesis import given
from hypothesis import strategies as st

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\n1234567"
CHUNKED = b"POST /order HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b"3\r\nabc\r\n1;x=y\r\n\n\r\n0\r\n\r\n"
TRAILERS = CHUNKED + b"a\r\n\r\n0\r\n\r\n\r\n\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"
BODY = "POST /order HTTP/1.1\r\nContent-Length: {}\r\n\r\n"


def after(data: bytes) -> PartialRequest:
    request = PartialRequest()
    request.add(data)
    return request


@pytest.mark.parametrize("whole", [GET, POST, CHUNKS, TRAILERS, b"\r\n" + GET])
def test_a_request_is_complete_with_its_last_byte(whole):
    request = PartialRequest()
    for n in range(len(whole)):
        assert not request.complete, whole[:n]
        request.add(whole[n : n + 1])
    assert (request.complete, request.too_large, bytes(request.data)) == (True, False, whole)


@given(st.sampled_from([GET, POST, CHUNKS, TRAILERS]), st.lists(st.integers(1, 60)), st.binary())
def test_it_does_not_matter_how_it_is_cut_nor_what_follows(whole, cuts, following):
    request, rest = PartialRequest(), whole + following
    for size in [*cuts, len(rest)]:
        if request.complete:
            break
        assert len(request.data) < len(whole)
        request.add(rest[:size])
        rest = rest[size:]
    assert request.complete
    assert request.has_head


TEA = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, tea\r\n\r\n"
BAD_CHUNKS = [b"zz\r\n", b"\r\n", b"-1\r\n\r\n", b"3\r\nabcX0\r\n\r\n"]


@pytest.mark.parametrize(
    "whole", [b"GET / HTTP/1.1\n\n", b"nonsense\r\n\r\n", TEA, *[CHUNKED + bad for bad in BAD_CHUNKS]]
)
def test_what_is_wrong_is_complete_so_that_the_parser_says_what(whole):
    assert after(whole).complete


def test_a_head_has_a_limit():
    start = b"GET / HTTP/1.1\r\nX: "
    assert not after(start.ljust(MAX_HEAD, b"x")).too_large
    request = after(start.ljust(MAX_HEAD + 1, b"x"))
    assert (request.too_large, request.complete, request.has_head) == (True, False, False)


@pytest.mark.parametrize(("length", "too_large"), [(MAX_BODY, False), (MAX_BODY + 1, True), ("9" * 5000, True)])
def test_a_body_has_a_limit(length, too_large):
    request = after(BODY.format(length).encode())
    assert (request.too_large, request.complete) == (too_large, False)


def chunk(size: int) -> bytes:
    return b"%x\r\n%s\r\n" % (size, b"x" * size)


@pytest.mark.parametrize(("size", "too_large"), [(MAX_BODY, False), (MAX_BODY + 1, True)])
def test_chunks_have_the_same_limit(size, too_large):
    assert after(CHUNKED + chunk(1000) + chunk(size - 1000)).too_large is too_large
    assert after(CHUNKED + b"%x\r\n" % size).too_large is too_large


def test_the_lines_between_chunks_have_a_limit():
    assert after(CHUNKED + b"1;" + b"x" * MAX_CHUNKED).too_large
    assert after(CHUNKED + (b"1;" + b"x" * 5000 + b"\r\nx\r\n") * 120).too_large


def test_a_client_that_waits_to_be_told_to_go_on():
    assert after(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nexpect: 100-Continue\r\n\r\n").expects_continue
    assert not after(POST).expects_continue
