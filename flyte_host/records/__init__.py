"""What flyte tells people: executions, flows and packs as its API shows them, and why a step waits.

``execution_record``, ``flow_record`` and ``pack_record`` are the documents, ``explanation`` reasons
about them. The command line fetches them from any flyte; embedded flyte makes its pages of them.
"""
