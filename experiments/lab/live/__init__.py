"""Shows what is up, and finished runs, in a browser; it must not judge, and only the commands may import it."""
