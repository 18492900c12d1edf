"""The demo: draw its pictures and records, train its starting detector, report the result."""
