# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Set-up guides: what to register at each mail provider, and what its administrator does.

Every step has its source, and the day on which it was read there.
"""

from __future__ import annotations

from datetime import date

from airflow_imap_oauth.admin.guide_model import Guide, GuideSource, GuideStep, GuideWay
from airflow_imap_oauth.admin.guides_of_companies import GOOGLE, microsoft
from airflow_imap_oauth.oauth.mail_providers import BUILT_IN

_FIRST, _LATER, _LAST = date(2026, 11, 25), date(2026, 11, 26), date(2026, 11, 27)

_CLIENT = (("Client ID", "of the application"), ("Client secret", "of the application"))


def _consent(
    console_url: str, *steps: GuideStep, fields: tuple[tuple[str, str], ...] = _CLIENT
) -> Guide:
    way = GuideWay(grant="user_consent", steps=steps, fields=fields)
    return Guide(console_url=console_url, loopback="exact", ways=(way,))


# --- Yahoo and AOL ----------------------------------------------------------------------------

_NYLAS_ON_YAHOO = GuideSource(
    url="https://developer.nylas.com/docs/provider-guides/yahoo-authentication",
    read_on=_LAST,
    confirmed=False,
)
_YAHOO_GUIDE = GuideSource(
    url="https://developer.yahoo.com/oauth2/guide/", read_on=_LATER, confirmed=False
)
_EMAIL_PROXY = GuideSource(
    url="https://github.com/simonrob/email-oauth2-proxy/blob/main/emailproxy.config",
    read_on=_FIRST,
    confirmed=False,
)
_YAHOO_STEPS = (
    GuideStep(
        text=(
            "Ask for access to mail by the form below, and choose IMAP in it. Yahoo answers by"
            " mail, with an agreement to sign; without its approval no application may read mail."
        ),
        commands=("https://senders.yahooinc.com/developer/developer-access-mail-form/",),
        sources=(_NYLAS_ON_YAHOO, _EMAIL_PROXY),
    ),
    GuideStep(
        text="Make an application with the same account, and enter the redirect URI of the pages.",
        sources=(_NYLAS_ON_YAHOO,),
    ),
    GuideStep(
        text=(
            "See which right to mail the application was granted. If it is mail-w and not mail-r,"
            " enter mail-w as the scope of the connection."
        ),
        sources=(_YAHOO_GUIDE,),
    ),
)
_AOL_STEP = GuideStep(
    text=(
        "AOL has no registration of its own: it belongs to Yahoo and takes Yahoo's applications,"
        " with other addresses, which this mail provider's name in the connection sets."
    ),
    sources=(_EMAIL_PROXY,),
)

# --- Fastmail, Zoho ---------------------------------------------------------------------------

_FASTMAIL = _consent(
    "https://www.fastmail.com/developer/oauth/",
    GuideStep(
        text=(
            "Fastmail registers applications by hand: write to its developers. They ask for name,"
            " logo, web page, terms, privacy policy, a page for support, and the redirect URIs."
        ),
        sources=(GuideSource(url="https://www.fastmail.com/developer/oauth/", read_on=_LAST),),
    ),
    GuideStep(
        text="Name both redirect URIs above; one to a person's own machine must begin with"
        " http://localhost.",
        sources=(
            GuideSource(url="https://www.fastmail.com/for-developers/oauth/", read_on=_LATER),
        ),
    ),
    fields=(("Client ID", "as Fastmail tells it; there is no secret"),),
)

_ZOHO = _consent(
    "https://api-console.zoho.com/",
    GuideStep(
        text=(
            "In the API console of the data centre in which the accounts are, add a client of the"
            " type server-based application: a name, any page of yours as home page, and the"
            " redirect URIs above."
        ),
        sources=(
            GuideSource(
                url="https://www.zoho.com/accounts/protocol/oauth-setup.html", read_on=_LAST
            ),
        ),
    ),
    GuideStep(
        text="Choose that data centre in the connection: accounts and tokens belong to one alone.",
        sources=(
            GuideSource(
                url="https://www.aurinko.io/blog/zoho-mail-oauth-flow/",
                read_on=_LATER,
                confirmed=False,
            ),
        ),
    ),
    fields=(*_CLIENT, ("Region", "the data centre of the account")),
)

# --- Yandex, Mail.ru, Comcast -----------------------------------------------------------------

_YANDEX_REGISTER = GuideSource(url="https://yandex.com/dev/id/doc/en/register-api", read_on=_LAST)
_YANDEX_MAIL = GuideSource(
    url="https://yandex.ru/support/mail-business/web/security/oauth.html", read_on=_LAST
)
_YANDEX = _consent(
    "https://oauth.yandex.com/client/new",
    GuideStep(
        text=(
            "Make an application for web services, with the redirect URIs above, and the right"
            " mail:imap_ro (reading mail is enough)."
        ),
        sources=(_YANDEX_MAIL,),
    ),
    GuideStep(
        text=(
            "An application that was made for access to an API has a redirect URI that cannot be"
            " changed. With that one, sign in by a code: on the page Authorize, or by the command"
            " below."
        ),
        commands=("airflow imap-oauth login CONN_ID --device",),
        sources=(_YANDEX_REGISTER,),
    ),
    GuideStep(
        text="Allow mail programs in the settings of the mailbox; otherwise the mail server answers"
        " that the credentials are invalid or IMAP is disabled.",
        sources=(
            GuideSource(
                url="https://github.com/async-email/async-imap/issues/35",
                read_on=_FIRST,
                confirmed=False,
            ),
        ),
    ),
)

_MAILRU = _consent(
    "https://oauth.mail.ru/app/",
    GuideStep(
        text="Make an application with the redirect URI of the pages, and let it have the scope"
        " mail.imap.",
        sources=(
            GuideSource(
                url="https://learn.emailengine.app/docs/accounts/mail-ru",
                read_on=_LAST,
                confirmed=False,
            ),
        ),
    ),
    GuideStep(
        text="The consent screen must list offline access: without it there is no refresh token.",
        sources=(
            GuideSource(
                url="https://github.com/rustmailer/bichon/discussions/385",
                read_on=_LAST,
                confirmed=False,
            ),
        ),
    ),
)

_COMCAST = _consent(
    "",
    GuideStep(
        text=(
            "Comcast publishes no page on which applications are registered; those of mail programs"
            " were agreed with Comcast. Ask Comcast for a client ID, and name the redirect URIs"
            " above."
        ),
        sources=(
            GuideSource(
                url="https://searchfox.org/comm-central/source/mailnews/base/src/"
                "OAuth2Providers.sys.mjs",
                read_on=_LATER,
                confirmed=False,
            ),
        ),
    ),
    fields=(("Client ID", "as Comcast tells it"),),
)

# --- any other server -------------------------------------------------------------------------

_RFC8252 = GuideSource(url="https://www.rfc-editor.org/rfc/rfc8252#section-7.3", read_on=_FIRST)
_RFC8414 = GuideSource(url="https://www.rfc-editor.org/rfc/rfc8414", read_on=_FIRST)
_DOVECOT = GuideSource(
    url="https://doc.dovecot.org/main/core/config/auth/databases/oauth2.html", read_on=_FIRST
)
_ACCEPT_TOKENS = GuideStep(
    text=(
        "See that the mail server accepts tokens of that server (OAUTHBEARER or XOAUTH2), and by"
        " which claim it knows whose mailbox it is; with Dovecot that is oauth2_username_attribute."
    ),
    by_administrator=True,
    sources=(_DOVECOT,),
)
_ISSUER = ("Issuer", "of the authorization server; or its endpoints one by one")
_CUSTOM = Guide(
    console_url="",
    loopback="exact",
    ways=(
        GuideWay(
            grant="user_consent",
            steps=(
                GuideStep(
                    text="At the authorization server, register a client with the redirect URIs"
                    " above, for the authorization code grant with PKCE and for refresh tokens.",
                    sources=(_RFC8252,),
                ),
                GuideStep(
                    text=(
                        "Find out its issuer: at that address, .well-known tells the endpoints."
                        " Find out the scope for IMAP, and the one for a refresh token, often"
                        " offline_access."
                    ),
                    sources=(_RFC8414,),
                ),
                _ACCEPT_TOKENS,
            ),
            fields=(*_CLIENT, _ISSUER, ("Scopes", "all that are needed")),
        ),
        GuideWay(
            grant="client_credentials",
            steps=(
                GuideStep(
                    text="At the authorization server, register a confidential client for the"
                    " client credentials grant, and allow it the scope for IMAP.",
                    sources=(_RFC8414,),
                ),
                _ACCEPT_TOKENS,
            ),
            fields=(
                ("How access is granted", "The application signs in by itself"),
                *_CLIENT,
                _ISSUER,
            ),
        ),
    ),
)


def _of_microsoft(name: str, portal_url: str) -> Guide:
    profile = BUILT_IN[name]
    return microsoft(portal_url, profile.scopes[0], profile.app_scopes[0])


GUIDES = {
    "microsoft": _of_microsoft("microsoft", "https://entra.microsoft.com/"),
    "microsoft_us_gov": _of_microsoft("microsoft_us_gov", "https://entra.microsoft.us/"),
    "microsoft_us_dod": _of_microsoft("microsoft_us_dod", "https://entra.microsoft.us/"),
    "microsoft_china": _of_microsoft("microsoft_china", "https://entra.microsoftonline.cn/"),
    "google": GOOGLE,
    "yahoo": _consent("https://developer.yahoo.com/apps/create/", *_YAHOO_STEPS),
    "aol": _consent("https://developer.yahoo.com/apps/create/", _AOL_STEP, *_YAHOO_STEPS),
    "fastmail": _FASTMAIL,
    "zoho": _ZOHO,
    "yandex": _YANDEX,
    "mailru": _MAILRU,
    "comcast": _COMCAST,
    "custom": _CUSTOM,
}


def guide_of(mail_provider: str) -> Guide:
    """
    Return the guide of a mail provider.

    One that another package has added gets what holds for any server.
    """
    return GUIDES.get(mail_provider, _CUSTOM)
