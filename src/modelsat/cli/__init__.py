"""The command line: the only layer that wires the others together and prints."""
