"""Pause, resume and drain a running host over a socket."""
