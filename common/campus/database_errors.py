"""Whose fault an error of a database is: the database's own, or that of a statement and its values."""

import sqlite3

import psycopg
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_DATABASE_ERRORS = (DBAPIError, PendingRollbackError, PoolTimeout, sqlite3.Error, psycopg.Error)
# What tells of the file, the disk, the memory or another's lock; all other codes tell of a statement or its values.
_SQLITE_FAULTS = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}
# The same for PostgreSQL: connection, transaction to be tried again, resources, operator, system, internal error,
# no such database, wrong password, no permission, read-only, idle for too long, lock not to be had.
_POSTGRESQL_FAULTS = ("08", "40", "53", "57", "58", "XX", "3D", "28", "42501", "25006", "25P03", "55P03")


class DatabaseDown(ConnectionError):
    """The database cannot do its work now: it is locked, full, read-only, broken or away. Try again later.

    No message and no request caused it. A failure that its values caused stays SQLAlchemy's or the driver's error.
    """


class CommitUnknown(DatabaseDown):
    """The database went away while it committed: the work may be done or not, and only reading the data shows it."""


def down(error: BaseException) -> DatabaseDown | None:
    """Return what to raise instead when the database itself is at fault, else None."""
    if not isinstance(error, _DATABASE_ERRORS):
        return None
    if isinstance(error, PoolTimeout | PendingRollbackError):
        return DatabaseDown(f"no connection to the database: {error}")
    said = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(said, sqlite3.Error):
        at_fault = getattr(said, "sqlite_errorcode", 0) & 0xFF in _SQLITE_FAULTS
    elif isinstance(said, psycopg.Error) and said.sqlstate:
        at_fault = said.sqlstate.startswith(_POSTGRESQL_FAULTS)
    else:  # without a state it is the client that speaks: there is no answer
        at_fault = isinstance(said, psycopg.OperationalError | psycopg.InterfaceError)
    return DatabaseDown(" ".join(f"{type(said).__name__}: {said}".split())) if at_fault else None
