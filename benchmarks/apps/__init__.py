"""The programs that are measured: the same handlers for each peer."""
