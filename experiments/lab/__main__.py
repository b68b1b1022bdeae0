"""What `./lab` runs, and `python -m lab`."""

import resource

from lab.cli.main import main

FILES = 8192  # the load generator and the services hold a connection for each order that waits; a Mac begins with 256

soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
if soft != resource.RLIM_INFINITY and soft < wanted:
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
main(prog_name="./lab")
