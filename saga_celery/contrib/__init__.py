"""Packages that make sagas feel at home elsewhere; each needs what it is named for, and nobody below imports any."""
