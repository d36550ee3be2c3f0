"""For every test of this repository, those of the packs too."""

pytest_plugins = ["tests.orphans"]
