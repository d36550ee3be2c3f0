"""Commands of packs as tools of the Model Context Protocol.

The pipeline of the host takes, journals and runs actions as always; what stands in for flyte is a
desk at which tool calls queue. Needs the extra ``mcp``, but for ``command_tool`` and ``tool_desk``.
"""
