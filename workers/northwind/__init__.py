"""The Northwind sample orders as CSV; see LICENSE.md."""
