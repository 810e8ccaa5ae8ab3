# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""The pages that a human sees in the browser: consent, and refusal of a wrong request."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from string import Template

LOGINS = ("alice@example.com", "bob@example.com")

_PAGE = Template("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>$title</title>
<body>
<h1>$title</h1>
$content
</body>
</html>
""")

_CONSENT = Template("""\
<p><strong>$client</strong> asks for access to your mailbox:</p>
<ul>$scopes</ul>
<form method="post" action="$action">
<input type="hidden" name="transaction" value="$transaction">
<label>Account <input name="login" list="logins" value="$login" autocomplete="off"></label>
<datalist id="logins">$logins</datalist>
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>
""")

_VERIFICATION = Template("""\
<p>Enter the code that your device shows:</p>
<form method="post" action="$action">
<label>Code <input name="user_code" value="$user_code" autocomplete="off"></label>
<label>Account <input name="login" list="logins" value="$login" autocomplete="off"></label>
<datalist id="logins">$logins</datalist>
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny">Deny</button>
</form>
""")


def consent(
    *, client: str, scopes: Iterable[str], action: str, transaction: str, login: str | None
) -> str:
    """
    Return the page that asks an account for its consent.

    :param action: Path that the form is sent to.
    :param login: The account that the client suggests (``login_hint``), or None.
    """
    content = _CONSENT.substitute(
        client=escape(client),
        scopes="".join(f"<li>{escape(scope)}</li>" for scope in scopes),
        action=escape(action),
        transaction=escape(transaction),
        login=escape(login or LOGINS[0]),
        logins=_options(),
    )
    return _PAGE.substitute(title="Test authorization server", content=content)


def refusal(error: str, description: str) -> str:
    """Return the page for a request that may not be answered by a redirect."""
    content = f'<p><code id="error">{escape(error)}</code> {escape(description)}</p>'
    return _PAGE.substitute(title="The request was refused", content=content)


def verification(action: str, user_code: str) -> str:
    """Return the page that takes the code of a device."""
    content = _VERIFICATION.substitute(
        action=escape(action),
        user_code=escape(user_code),
        login=escape(LOGINS[0]),
        logins=_options(),
    )
    return _PAGE.substitute(title="Test authorization server", content=content)


def decided() -> str:
    """Return the page after the code of a device was decided on."""
    return _PAGE.substitute(title="You may go back to your device", content="")


def _options() -> str:
    return "".join(f'<option value="{escape(one)}">' for one in LOGINS)
