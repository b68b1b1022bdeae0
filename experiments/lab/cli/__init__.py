"""Every command of `./lab`; it holds no logic, and no module may import it."""
