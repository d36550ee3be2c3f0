"""The way of a log line from the thread that logs it to the stream.

A stream that nobody reads, or a plugin that reconfigures logging, affects nothing else of the host.
``host_logger`` has the host's loggers, ``log_output`` the queue and the thread behind it,
``log_stream`` what that writes to, and ``log_listeners`` handlers that plugins added. Must not know
the look of a line or what is logged.
"""

from flyte_host.log_output.host_logger import enabled_loggers
from flyte_host.log_output.log_output import LogOutput, logger_for_others

__all__ = ["LogOutput", "enabled_loggers", "logger_for_others"]
