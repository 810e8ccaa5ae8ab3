# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""Configuration files of Dovecot 2.3 for :mod:`tests.servers.dovecot`."""

from __future__ import annotations

import grp
from pathlib import Path
from string import Template

_OAUTH2 = Template("""\
introspection_url = $url
introspection_mode = post
force_introspection = yes
active_attribute = active
active_value = true
max_parallel_connections = 20
username_attribute = username
username_format = %Lu
timeout_msecs = 3000
tls_ca_cert_file = $folder/tls/ca.pem
""")

#: The password of every account, beside its tokens.
PASSWORD = "canary-'käse\"-of-Dovecot"

# penalty mode 0: failed sign-ins from one address are not delayed more and more.
_MAIN = Template("""\
base_dir = $folder/run
state_dir = $folder/state
log_path = $folder/dovecot.log
protocols = imap
listen = 127.0.0.1
$users
first_valid_uid = 1
default_vsz_limit = 512M
auth_mechanisms = xoauth2 oauthbearer plain
auth_verbose = yes
auth_failure_delay = 0
auth_cache_size = 0
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = $folder/oauth2.conf.ext
}
passdb {
  driver = static
  mechanisms = plain
  args = password=$password
}
userdb {
  driver = static
  args = uid=$mail_uid gid=$mail_gid home=$folder/mail/%Lu allow_all_users=yes
}
mail_location = maildir:~/Maildir:LAYOUT=fs:INDEX=$folder/index/%Lu
mail_max_userip_connections = 10000
namespace inbox {
  inbox = yes
  separator = /
}
ssl = required
ssl_cert = <$folder/tls/server.pem
ssl_key = <$folder/tls/server.key
ssl_min_protocol = TLSv1.2
service imap-login {
  process_min_avail = 1
  service_count = 0
  process_limit = 2
  client_limit = 2000
  $chroot
  inet_listener imap {
    port = $starttls_port
  }
  inet_listener imaps {
    port = $port
    ssl = yes
  }
}
service imap {
  process_limit = 2000
}
service auth {
  client_limit = 9000
}
service stats {
  $chroot
}
service anvil {
  client_limit = 9000
  $chroot
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
""")


def oauth2(folder: Path, introspection_url: str) -> str:
    """
    Return the file that says where tokens are looked up.

    :param introspection_url: With the client's id and secret in it, percent-encoded.
    """
    return _OAUTH2.substitute(folder=folder, url=introspection_url)


def main(
    folder: Path,
    *,
    port: int,
    starttls_port: int,
    mail_uid: int,
    mail_gid: int,
    user: str | None,
) -> str:
    """
    Return the main file.

    :param user: The ordinary user that all of it runs as; None: root with Dovecot's own users.
    """
    owner = user or "dovecot"
    users = f"default_internal_user = {owner}\ndefault_login_user = {user or 'dovenull'}"
    if user is None:
        users += "\ndefault_internal_group = dovecot"
    else:
        users += f"\ndefault_internal_group = {grp.getgrgid(mail_gid).gr_name}"
    return _MAIN.substitute(
        folder=folder,
        port=port,
        starttls_port=starttls_port,
        mail_uid=mail_uid,
        mail_gid=mail_gid,
        users=users,
        password=PASSWORD,
        # Only root may change the root folder.
        chroot="" if user is None else "chroot =",
    )
