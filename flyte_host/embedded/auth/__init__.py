"""Decides who may call what: tokens and a policy in flyte's format, around any ASGI application.

``policy`` matches requests and claims, ``policy_file`` reads it, ``token_verifier`` checks tokens
with keys from ``file_keys`` or ``issuer_keys``, ``access`` decides and ``auth_middleware`` answers.
"""

from flyte_host.embedded.auth.auth_middleware import AuthMiddleware, AuthSettings, read_access

__all__ = ["AuthMiddleware", "AuthSettings", "read_access"]
