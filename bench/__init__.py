"""Benchmarks: every line compares two ways of doing one thing, interleaved in one run."""
