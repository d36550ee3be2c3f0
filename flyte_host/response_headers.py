"""Headers with which a browser makes nothing of an answer but what it is.

Datastore items are bytes of anybody, served with the content type that their sender chose. Without
these headers such a page would run scripts as a page of this server, and could do what that may.
"""

PROTECTIVE_HEADERS = (
    # Text stays text, however much it looks like HTML or a script.
    ("X-Content-Type-Options", "nosniff"),
    # A page runs no script, sends no form, loads nothing, belongs to no site, stands in no frame.
    ("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
    # Pages of other sites cannot load an answer as a script, an image or a style.
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # Ids in a page's address are not told to the sites that it links to.
    ("Referrer-Policy", "no-referrer"),
)
"""On every answer of every server here."""
