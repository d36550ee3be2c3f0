"""Starts the process that serves a folder: ``python -P -m flyte_host.dev OPTIONS LIFELINE``."""

import sys

from flyte_host.dev.dev_host import serve_folder
from flyte_host.dev.dev_options import DevOptions

if __name__ == "__main__":
    serve_folder(DevOptions.decode(sys.argv[1]), int(sys.argv[2]))
