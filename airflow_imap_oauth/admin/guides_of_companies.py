# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Set-up guides of the mail providers that companies use: Microsoft and Google."""

from __future__ import annotations

from datetime import date

from airflow_imap_oauth.admin.guide_model import Guide, GuideSource, GuideStep, GuideWay

_FIRST, _LATER, _LAST = date(2026, 11, 25), date(2026, 11, 26), date(2026, 11, 27)

# --- Microsoft --------------------------------------------------------------------------------

_ENTRA = "https://learn.microsoft.com/entra/identity-platform"
_EXCHANGE = GuideSource(
    url="https://learn.microsoft.com/exchange/client-developer/legacy-protocols/"
    "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth",
    read_on=_FIRST,
)
_REGISTER = GuideSource(
    url="https://learn.microsoft.com/en-us/training/modules/implement-app-registration/"
    "4-register-application",
    read_on=_LAST,
)
_CLOUDS = GuideSource(url=f"{_ENTRA}/authentication-national-cloud", read_on=_FIRST)
_REDIRECT = GuideSource(url=f"{_ENTRA}/how-to-add-redirect-uri", read_on=_LAST)
_REPLY_URL = GuideSource(url=f"{_ENTRA}/reply-url", read_on=_FIRST)
_ERRORS = GuideSource(url=f"{_ENTRA}/reference-error-codes", read_on=_FIRST)
_APP_ONLY = GuideSource(url=f"{_ENTRA}/v2-oauth2-client-creds-grant-flow", read_on=_LATER)
_CAS_MAILBOX = GuideSource(
    url="https://microsoft.github.io/Microsoft365DSC/resources/exchange/EXOCASMailboxSettings/",
    read_on=_LAST,
)

_IMAP_ON = GuideStep(
    text="See that IMAP is switched on for the mailbox; in PowerShell of Exchange Online:",
    commands=("Set-CASMailbox -Identity <mailbox> -ImapEnabled $true",),
    by_administrator=True,
    sources=(_CAS_MAILBOX,),
)
_SECRET = GuideStep(
    text=(
        "Under Certificates & secrets make a client secret and copy its value at once, not its id;"
        " or upload a certificate. Note the day on which it ends."
    ),
    sources=(_ERRORS, _APP_ONLY),
)


def _microsoft_consent(portal: str, imap_scope: str) -> GuideWay:
    return GuideWay(
        grant="user_consent",
        steps=(
            GuideStep(
                text=(
                    f"In {portal}, under App registrations, make a new registration. Let it serve"
                    " the accounts whose mail is to be read: those of this directory alone, or"
                    " others, too."
                ),
                sources=(_REGISTER, _CLOUDS),
            ),
            GuideStep(
                text=(
                    "Under Authentication add the platform Web with the redirect URIs above. Only"
                    " for a connection without a secret and without a certificate, choose the"
                    " platform for mobile and desktop applications instead: of such a client Entra"
                    " accepts no secret (AADSTS700025)."
                ),
                sources=(_REDIRECT, _REPLY_URL, _ERRORS),
            ),
            _SECRET,
            GuideStep(
                text=(
                    "Under API permissions allow the delegated permissions"
                    f" IMAP.AccessAsUser.All and offline_access. A sign-in asks for {imap_scope}."
                ),
                sources=(_EXCHANGE,),
            ),
            GuideStep(
                text=(
                    "Where the directory does not let users consent, an administrator grants"
                    " consent on the same page, once for all users (else: AADSTS90094)."
                ),
                by_administrator=True,
                sources=(_ERRORS,),
            ),
            _IMAP_ON,
            GuideStep(
                text=(
                    "For a shared mailbox, give a person full access to it. This person signs in;"
                    " the address of the shared mailbox goes into its own field."
                ),
                by_administrator=True,
                sources=(_EXCHANGE,),
            ),
        ),
        fields=(
            ("Client ID", "Application (client) ID of the registration"),
            ("Client secret", "the secret's value"),
            ("Tenant ID", "Directory (tenant) ID; needed if the registration serves one directory"),
            ("Credential ends on", "the day on which the secret ends"),
        ),
    )


def _microsoft_app_only(portal: str, app_scope: str) -> GuideWay:
    return GuideWay(
        grant="client_credentials",
        steps=(
            GuideStep(
                text=f"In {portal}, under App registrations, make a registration without a"
                " redirect URI.",
                sources=(_REGISTER, _CLOUDS),
            ),
            _SECRET,
            GuideStep(
                text=(
                    "Under API permissions choose, of the APIs that your organization uses, Office"
                    " 365 Exchange Online, and there the application permission IMAP.AccessAsApp."
                    f" The token request asks for {app_scope}."
                ),
                sources=(_EXCHANGE,),
            ),
            GuideStep(
                text="On the same page, grant admin consent for the directory.",
                by_administrator=True,
                sources=(_EXCHANGE,),
            ),
            GuideStep(
                text=(
                    "Make the application known to Exchange Online, in its PowerShell. The object"
                    " id is that of the Enterprise application; that of the App registration looks"
                    " alike and fails."
                ),
                commands=(
                    "Connect-ExchangeOnline",
                    "New-ServicePrincipal -AppId <application id> -ServiceId <object id>",
                ),
                by_administrator=True,
                sources=(_EXCHANGE,),
            ),
            GuideStep(
                text="Give it access to each mailbox, and to no other one:",
                commands=(
                    (
                        'Add-MailboxPermission -Identity "<mailbox>" -User <object id>'
                        " -AccessRights FullAccess"
                    ),
                ),
                by_administrator=True,
                sources=(_EXCHANGE,),
            ),
            _IMAP_ON,
        ),
        fields=(
            ("How access is granted", "The application signs in by itself"),
            ("Client ID", "Application (client) ID of the registration"),
            ("Client secret", "the secret's value; or a private key and its certificate"),
            ("Tenant ID", "Directory (tenant) ID: the application needs it"),
            ("Credential ends on", "the day on which secret or certificate end"),
        ),
    )


def microsoft(portal_url: str, imap_scope: str, app_scope: str) -> Guide:
    """
    Return the guide of one of Microsoft's clouds.

    :param portal_url: Of its Entra admin center.
    """
    portal = f"the Microsoft Entra admin center ({portal_url})"
    return Guide(
        console_url=portal_url,
        loopback="any_port",
        ways=(_microsoft_consent(portal, imap_scope), _microsoft_app_only(portal, app_scope)),
    )


# --- Google -----------------------------------------------------------------------------------

_CREDENTIALS = GuideSource(
    url="https://developers.google.com/workspace/guides/create-credentials", read_on=_LAST
)
_OAUTH2 = GuideSource(url="https://developers.google.com/identity/protocols/oauth2", read_on=_FIRST)
_XOAUTH2 = GuideSource(
    url="https://developers.google.com/workspace/gmail/imap/xoauth2-protocol", read_on=_FIRST
)
_LOOPBACK = GuideSource(
    url="https://developers.google.com/identity/protocols/oauth2/resources/loopback-migration",
    read_on=_FIRST,
)
_POLICY = GuideSource(url="https://support.google.com/accounts/answer/16668185", read_on=_FIRST)
_DELEGATION = GuideSource(url="https://support.google.com/a/answer/162106", read_on=_LAST)
_DELEGATION_STEPS = GuideSource(
    url="https://developers.google.com/workspace/cloud-search/docs/guides/delegation",
    read_on=_LAST,
)

_GOOGLE_CONSENT = GuideWay(
    grant="user_consent",
    steps=(
        GuideStep(
            text=(
                "In the Google Cloud console, choose or make a project and fill in the consent"
                " screen. For the mailboxes of your own Google Workspace, let the audience be"
                " internal. While an external one is in testing, every refresh token ends after"
                " 7 days."
            ),
            sources=(_OAUTH2,),
        ),
        GuideStep(
            text=(
                "Add the scope https://mail.google.com/: there is no smaller one for IMAP. Google"
                " restricts it, so an external application needs Google's verification."
            ),
            sources=(_XOAUTH2,),
        ),
        GuideStep(
            text=(
                "Under Credentials make an OAuth client ID. For signing in on the pages of Airflow"
                " its type is web application, with the redirect URI of the pages above."
            ),
            sources=(_CREDENTIALS,),
        ),
        GuideStep(
            text=(
                "For signing in by 'airflow imap-oauth login' alone, its type is desktop app, which"
                " needs no redirect URI. Enter its client secret in the connection all the same."
            ),
            sources=(_LOOPBACK, _CREDENTIALS),
        ),
        GuideStep(
            text=(
                "If a sign-in ends with admin_policy_enforced or org_internal, an administrator of"
                " Google Workspace has to allow the application."
            ),
            by_administrator=True,
            sources=(_POLICY,),
        ),
    ),
    fields=(
        ("Client ID", "of the OAuth client"),
        ("Client secret", "of the OAuth client"),
    ),
)

_GOOGLE_SERVICE_ACCOUNT = GuideWay(
    grant="service_account",
    steps=(
        GuideStep(
            text=(
                "In the Google Cloud console, under IAM & Admin, make a service account, and a key"
                " of the type JSON. Keep the file secret. Copy the numeric client ID of the"
                " service account."
            ),
            sources=(_CREDENTIALS, _DELEGATION),
        ),
        GuideStep(
            text=(
                "As a super administrator, open the Admin console: Security, Access and data"
                " control, API controls, Manage Domain Wide Delegation. Add that client ID with"
                " the scope below. From then on the service account can read every mailbox of the"
                " domain: guard its key."
            ),
            commands=("https://mail.google.com/",),
            by_administrator=True,
            sources=(_DELEGATION, _DELEGATION_STEPS),
        ),
    ),
    fields=(
        ("How access is granted", "A service account acts for the mailbox"),
        ("Service account key", "the whole JSON file"),
    ),
)

GOOGLE = Guide(
    console_url="https://console.cloud.google.com/auth/clients",
    loopback="none",
    ways=(_GOOGLE_CONSENT, _GOOGLE_SERVICE_ACCOUNT),
)
