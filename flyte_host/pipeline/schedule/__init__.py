"""When each pack is polled, who does it, and what a worker does next.

``schedule`` is the face of it to the other parts. Below it, ``timetable`` has the one lock and
whatever it guards: a ``pack_plan`` for each pack with its ``slots`` and its ``pace``, the ``jobs``,
the workers that are idle or busy, and who follows whom.
"""
