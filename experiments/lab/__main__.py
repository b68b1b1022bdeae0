"""`python -m lab`, which `./lab` calls."""

from lab.cli.main import main

main(prog_name="./lab")
