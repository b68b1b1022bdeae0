"""What pika cannot read in a message's headers must not end the connection: such a message has no headers."""

import logging
from typing import Any

from pika import spec

log = logging.getLogger("campus")


class Properties(spec.BasicProperties):
    """A message's properties, as far as they can be read.

    AMQP's headers may hold what Python has no value for, such as a time in the year 58121. pika would raise in the
    middle of reading, and the message would end every connection over which it comes.
    """

    def decode(self, encoded: bytes, offset: int = 0) -> "Properties":
        """Read the properties; leave out all from the first on that cannot be read."""
        try:
            super().decode(encoded, offset)
        except Exception as why:  # whatever pika meets
            self.headers = None
            log.warning("a message's headers cannot be read: %s: %s", type(why).__name__, why)
        return self


def accept_all() -> None:
    """Let pika read every message's properties so. It may be called again."""
    props: Any = spec.props
    props[spec.BasicProperties.INDEX] = Properties
