"""The health pages.

``pages`` says what each shows, ``readiness`` has the lines of ``/ready``, ``checks`` asks what
plugins check. Nothing is imported here: the process of an isolated plugin needs ``checks`` alone.
"""
