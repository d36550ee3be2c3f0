"""Embedded flyte's pages for browsers, made of the API's documents.

``pages`` routes and renders, ``page_source`` gathers the documents, ``step_graph`` and
``time_bars`` draw. Read-only, without scripts or styles of another origin, and behind the gate
and the policy of the API.
"""
