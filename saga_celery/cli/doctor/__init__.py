"""`saga doctor`: the command, and a file for each part of the system that it examines."""
