"""The services' own gunicorn settings; bare functions have nothing to start or stop."""

from campus.gunicorn_conf import *  # noqa: F403


def post_worker_init(worker):
    """Start nothing."""


def worker_exit(server, worker):
    """Stop nothing."""
