"""The health pages.

``pages`` says what each shows, ``readiness`` has the lines of ``/ready``, ``checks`` runs plugins'
checks. Nothing is imported here: the process of an isolated plugin needs only ``checks``.
"""
