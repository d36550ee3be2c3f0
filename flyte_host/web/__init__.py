"""What the servers of this project share: connections, limits and who may send requests.

Packs that run a server use it too, so it knows nothing about hosts.
"""
