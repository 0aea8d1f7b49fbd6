"""Other libraries, measured by an interpreter that has them: `--peer-python`."""
