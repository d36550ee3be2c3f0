"""What flyte is owed: the threads that bring it, its order, and what each refusal means.

``courier`` has the threads, ``lanes`` the order, and ``attempts`` the meaning of flyte's answers.
``arrears`` counts what waited through an outage; ``event_rooms`` lets observers wait.
"""
