"""The commands of the suite: argument parsing, then a few calls."""
