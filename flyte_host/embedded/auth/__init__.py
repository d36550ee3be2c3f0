"""Who may call what: tokens and a policy as flyte has them, around any WSGI application.

``policy`` matches requests and claims, ``policy_file`` reads it, ``tokens`` and ``keys`` verify,
``middleware`` answers.
"""

from flyte_host.embedded.auth.middleware import Auth, protect

__all__ = ["Auth", "protect"]
