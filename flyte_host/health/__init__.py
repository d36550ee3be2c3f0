"""The health pages.

``pages`` says what each shows, ``readiness`` has the lines of ``/ready``, ``own_host`` what pages
show of packs and journal, ``checks`` runs plugins' checks. Nothing is imported here: the process of
an isolated plugin needs only ``checks``.
"""
