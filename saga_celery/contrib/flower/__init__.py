"""Sagas in Flower: a tab with the console, behind Flower's own login. Only the extra `flower` has to be installed."""
