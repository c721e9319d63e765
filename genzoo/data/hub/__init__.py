"""Rows of the package `datasets`: of the Hub, in memory or on a disk."""
