"""Empty: its place tells pytest to put this folder into sys.path."""
