"""What flyte tells people: executions, flows and packs as its API shows them, and why a step waits.

``execution_record``, ``flow_record`` and ``pack_record`` are the documents, ``explanation`` reasons
on them. The command line fetches them from any flyte; embedded flyte's pages are made of them.
"""
