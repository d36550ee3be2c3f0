"""What every test of this repository runs under, those of the packs too: a plugin of pytest."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.orphans"]

# A busy machine takes long over an example, and over making one up.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")
