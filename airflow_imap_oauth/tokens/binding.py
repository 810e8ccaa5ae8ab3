# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
What sealed secrets are bound to.

Someone who may edit a connection but not read its secrets could point them at a server of his own.
Bound to every place that they are sent to, they do not open there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_imap_oauth.oauth.settings import OAuthSettings

_DEFAULT_PORTS = {"https": 443, "http": 80}


def binding(
    settings: OAuthSettings, imap_host: str, *, mailbox: str | None = None
) -> dict[str, str]:
    """
    Return what the secrets of a connection are bound to, in canonical form.

    These are the client id, the IMAP host, the issuer, and each configured URL that a secret is
    sent to. Where discovery finds the URLs, the issuer stands for them, so that a server may move
    its endpoints; the authorization endpoint receives no secret. The CA file belongs to them: it
    decides which server is believed to be one of these. So do grant and mailbox where nobody
    signs in, because such a client may open every mailbox of an organization.

    :param settings: As configured: *before* discovery completed the endpoints.
    :param mailbox: The user of the IMAP session; None: the login.
    :return: Names and values; what is not configured is absent, so that a name added later
        changes nothing for connections without it.
    """
    urls = {
        "issuer": settings.endpoints.issuer,
        "token_url": settings.endpoints.token_url,
        "revoke_url": settings.endpoints.revoke_url,
        # Of known mail providers it stands at the server of the token endpoint.
        "device_url": None
        if settings.profile.device_url is not None
        else settings.endpoints.device_url,
    }
    canonical = {name: _canonical_url(url) for name, url in urls.items() if url}
    if settings.transport.ca_file:
        # Its path, not its content: whoever may write that file may do anything on that host,
        # while the certificates of a well-kept one change all the time.
        canonical["ca_file"] = settings.transport.ca_file
    if settings.grant != "user_consent":
        canonical["grant"] = settings.grant
        canonical["login"] = settings.login
        canonical["mailbox"] = mailbox or settings.login
    return {
        "client_id": settings.client_id,
        "imap_host": imap_host.strip().lower(),
        **canonical,
    }


def _canonical_url(url: str) -> str:
    # Only spellings that no client can take for another server are merged; anything unusual
    # (control characters, user names, other alphabets) stays as it is.
    if not url.isascii() or not url.isprintable() or "@" in url or "\\" in url:
        return url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if not parts.hostname or parts.scheme not in _DEFAULT_PORTS:
        return url
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if port is not None and port != _DEFAULT_PORTS[parts.scheme]:
        host = f"{host}:{port}"
    return parts._replace(netloc=host).geturl()
