"""flyte's HTTP API as method calls.

``flyte_client`` knows which call goes where, ``conversation`` what an answer means, ``wire`` the
documents, ``flyte_address`` where links lead, ``transport`` HTTP, ``engine`` what carries it,
``failures`` the words for what goes wrong below it, ``token`` the token, ``outage`` when no call
makes sense, ``registrations`` what flyte knows of our packs. Import a module itself, which loads no
other: the process of an isolated pack needs ``wire``, and no HTTP.
"""
