"""Commands of packs as tools of the Model Context Protocol.

The pipeline of the host takes, journals and runs actions as always; a desk at which tool calls
queue stands in for flyte. Needs the extra ``mcp``, except for ``command_tool`` and ``tool_desk``.
"""
