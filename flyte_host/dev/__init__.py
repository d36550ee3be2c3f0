"""``flyte-host dev``: a plugin in a folder, served while it is being written.

Owns the process that watches the folder and the one that serves it, which starts again after each
change. Must not know the command line.
"""
