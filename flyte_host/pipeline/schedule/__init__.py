"""When each pack is polled, who does it, and what a worker does next.

``schedule`` is for those who know of work, ``turns`` for the workers. Both stand on ``timetable``,
which has the one lock and whatever it guards: a ``pack_plan`` for each pack with its ``slots``, its
``pace`` and its ``ladder``, the ``jobs``, the workers that are idle or busy, and who follows whom.
"""
