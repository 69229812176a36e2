"""Measures Tenon's drives against others that do the same work: `make bench`, or python3 -m bench --help."""
