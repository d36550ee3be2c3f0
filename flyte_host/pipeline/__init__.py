"""The path of an action and of an event, from flyte to a handler and back.

Its packages are layers, from the top: ``workers`` carry actions, ``delivery`` brings what could not
be delivered at once, ``schedule`` says who polls which pack and when, ``handlers`` run plugin code,
and ``journal`` has all of it on disk. Beside the workers, ``observers`` raise events through the
``emitter``, and the ``wake_listener`` hears of actions. ``parts`` connects them all, and
``pipeline`` starts and stops them.
"""
