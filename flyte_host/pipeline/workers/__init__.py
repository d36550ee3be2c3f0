"""The threads that carry actions, each from the take to the post.

``worker_pool`` has the threads. ``taker`` takes an action, and ``run`` brings it to its end.
``overrun`` has handlers that outlast their timeout, ``recovery`` actions that outlast a host.
"""
