"""What flyte is owed: the threads that bring it, its order, and what each refusal means.

``deliveries`` has what is owed, ``lanes`` its order, and ``courier`` the threads that bring it.
``attempts`` is the way to flyte, and ``refusals`` the meaning of what flyte does not accept.
``arrears`` counts what waited through an outage; ``event_rooms`` lets observers wait.
"""
