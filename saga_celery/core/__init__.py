"""The state machine: standard library only; it knows no clock, no chance and no input or output."""
