"""The demo: all Northwind orders as sagas on this machine, a worker killed midway, and the books balanced after it."""
