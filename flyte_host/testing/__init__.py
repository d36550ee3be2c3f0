"""What plugin authors get to test a pack with: real flyte, real host, no mocks.

Owns the kit that the pytest fixtures of ``flyte_host.testing.plugin`` hand out. Nothing of the
host imports it.
"""
