# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Errors that say more than RFC 6749 does."""

from __future__ import annotations

from authlib.oauth2.rfc6749 import OAuth2Error


class DetailedError(OAuth2Error):
    """
    An error whose text is told at every mail provider.

    :param entra_codes: Entra's own codes; none: what is usual for the error.
    """

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status_code: int = 400,
        entra_codes: tuple[int, ...] = (),
    ) -> None:
        super().__init__(error=error, description=description, status_code=status_code)
        self.entra_codes = entra_codes


def invalid_client(description: str, *entra_codes: int) -> DetailedError:
    """Return the error for a client that did not prove who it is."""
    return DetailedError("invalid_client", description, status_code=401, entra_codes=entra_codes)
