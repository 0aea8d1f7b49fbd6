"""Other libraries that do the same, in an environment of their own: `.peers/`, made by the first run."""
