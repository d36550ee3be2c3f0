"""What every server of this project stands on: connections, bodies and who may send requests.

Packs with a server of their own use it too, so it knows nothing of hosts.
"""
