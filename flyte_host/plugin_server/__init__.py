"""The child's end of isolation: ``python -m flyte_host.plugin_server`` is one plugin's process."""
