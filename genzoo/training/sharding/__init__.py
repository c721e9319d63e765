"""Sharding: large networks whose parameters are divided among processes while they train."""
