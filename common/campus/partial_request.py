"""A request as its bytes arrive: whether all of it is there, so that no thread waits for the rest."""

import re

HEAD_SECONDS = 5.0  # a client may take so long to send a request's head,
BODY_SECONDS = 10.0  # and so long to send its body
MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024
MAX_CHUNKED = 8 * MAX_BODY  # a body in chunks, with the lines that give their sizes

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked[ \t]*\r\n", re.IGNORECASE)
_EXPECTS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)


class PartialRequest:
    """The bytes of one request, and of what follows it on its connection.

    It looks only for the end. gunicorn's parser then reads the same bytes, and says what is wrong with them.

    Example:

        request = PartialRequest()
        while not request.complete and not request.too_large:
            request.add(connection.recv(65536))
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.has_head = False  # the request line and all headers are there
        self.complete = False  # the body is there, too; or something is wrong, and its end cannot be found
        self.too_large = False  # more than MAX_HEAD or MAX_BODY
        self.expects_continue = False  # the client waits for "100 Continue" before it sends the body
        self._body = 0  # where the body begins
        self._end: int | None = 0  # where it ends; None: it comes in chunks
        self._chunk = 0  # where the next chunk begins
        self._decoded = 0  # bytes of body in the chunks before it

    def add(self, data: bytes) -> None:
        """Take in what has arrived."""
        searched = max(0, len(self.data) - len(_END) + 1)
        self.data += data
        if not self.has_head:
            self._look_for_head(searched)
        if self.has_head and not self.complete and not self.too_large:
            self._look_for_body()

    def _look_for_head(self, searched: int) -> None:
        end = self.data.find(_END, searched)
        if end >= 0:
            self.has_head, self._body = True, end + len(_END)
            self._read_head(bytes(self.data[: self._body]))
        elif self.data.count(b"\n") != self.data.count(b"\r\n"):
            self.has_head = self.complete = True
        else:
            self.too_large = len(self.data) > MAX_HEAD

    def _read_head(self, head: bytes) -> None:
        self.expects_continue = bool(_EXPECTS.search(head))
        if _CHUNKED.search(head):
            self._end, self._chunk = None, self._body
        else:
            length = _LENGTH.search(head)
            size = int(length[1][:18]) if length else 0
            self.too_large, self._end = size > MAX_BODY, self._body + size

    def _look_for_body(self) -> None:
        if self._end is not None:
            self.complete = len(self.data) >= self._end
        else:
            self.complete = self._has_last_chunk()
            self.too_large = self._decoded > MAX_BODY or len(self.data) > self._body + MAX_CHUNKED

    def _has_last_chunk(self) -> bool:
        """Step over the chunks that are there; return whether the last one is, or something that is no chunk."""
        while (line := self.data.find(b"\r\n", self._chunk)) >= 0:
            try:
                size = int(self.data[self._chunk : line].split(b";")[0], 16)
            except ValueError:
                return True
            if size <= 0:
                return self.data.find(_END, line) >= 0
            after = line + 2 + size + 2
            if self._decoded + size <= MAX_BODY and len(self.data) < after:
                return False
            self._chunk, self._decoded = after, self._decoded + size
        return False
