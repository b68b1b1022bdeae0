"""`python -m lab`, which `./lab` calls."""

from lab.cli import main

main(prog_name="./lab")
