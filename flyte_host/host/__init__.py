"""A host's life: start, stop, signals, and its servers.

Nothing is imported here: ``check`` needs ``start_conditions`` alone.
"""
