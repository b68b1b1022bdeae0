"""The command that shows everything in a browser."""

import click


@click.command()
@click.option("--port", default=8030, show_default=True, help="Where the page is, on this machine only.")
@click.option("--open", "opens", is_flag=True, help="Open it in the browser.")
def live(port: int, opens: bool) -> None:
    """Show orders on their way in a browser, break services by click, play runs back, until Ctrl-C."""
    from lab.live import app, instance

    page = app.Live()

    def ready(address: str) -> None:
        page.start()
        click.echo(f"{address}   (Ctrl-C ends it)")
        if opens:
            click.launch(address)

    instance.serve(port, lambda port: app.create_app(page, port), ready)
