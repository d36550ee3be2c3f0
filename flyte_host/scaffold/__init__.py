"""The files of a new pack's project.

Owns names, templates and what is written. Must not know what a host does with a plugin.
"""
