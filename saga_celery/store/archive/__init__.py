"""The archive: a saga that has ended, in one row and compressed. `Retention` writes it."""
