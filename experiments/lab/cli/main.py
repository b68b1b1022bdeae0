"""`./lab`: finds a command in its module, which alone is loaded: a script runs dozens of them."""

import errno
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from lab.errors import LabError
from lab.paths import STATE_DIR, relative

MODULES = {
    "services": "up down status logs start stop kill pause unpause freeze unfreeze configure order env doctor",
    "experiment": "begin load grow at settle snapshot redeliver poison chaos sample finish",
    "kafka": "lag replay note-report tally",
    "dlq": "dlq",
    "results": "report plot summary bench chaos-report compare readme list-broken broken-report diffs",
    "grade": "grade handout",
    "explore": "explore replay-schedule",
    "live": "live",
    "trace": "trace",
}
COMMANDS = {name: module for module, names in MODULES.items() for name in names.split()}


class Lab(click.Group):
    """Ends with a plain sentence and status 2 after a LabError, and with 130 after Ctrl-C."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command with this name from its module, where it is called the same."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(import_module(f"lab.cli.{COMMANDS[cmd_name]}"), cmd_name.replace("-", "_"))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            try:
                return super().invoke(ctx)
            except OSError as error:
                raise _refusal(error) from error
        except LabError as error:
            click.secho(f"lab: {error}", fg="red", err=True)
            if error.hint:
                click.echo(f"     → {error.hint}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("\nlab: interrupted", err=True)
            ctx.exit(130)


def _refusal(error: OSError) -> Exception:
    """Return what the system refuses to any command, as a sentence; the very error if it is another one."""
    what = relative(Path(error.filename)) if isinstance(error.filename, str) else "a file or a process"
    if error.errno in (errno.EACCES, errno.EPERM):
        return LabError(
            f"{what} belongs to another user, perhaps after one `sudo ./lab`: {error.strerror}",
            f'sudo chown -R {os.getuid()} "{STATE_DIR}"',
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return LabError(f"{what} cannot be written: {error.strerror}", "df -h . shows the space; ./lab down stops all")
    return error


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from lab.version import sentence

        click.echo(sentence())
        ctx.exit()


@click.group(cls=Lab, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Show the version and the commit, and exit.")  # fmt: skip
def main() -> None:
    """Run the three communication models, inject faults, measure.

    \b
    A first tour:     ./lab up sync-rest
                      ./lab order
                      ./lab configure inventory delay=2
                      ./lab order
                      ./lab configure inventory --reset
                      ./lab down
    All experiments:  experiments/run_all.sh      (--quick: shorter)
    """
