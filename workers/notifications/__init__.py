"""The notifications service: what customers have been told."""
