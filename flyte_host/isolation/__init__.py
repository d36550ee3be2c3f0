"""A plugin in its own process: both ends."""
