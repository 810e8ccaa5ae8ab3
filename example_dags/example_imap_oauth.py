# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
### Wait for mail, then land it.

`wait_for_mail` waits until the folder holds a message that `fetch_mail` has not landed yet.
`fetch_mail` then lands every new message in object storage: the message itself, its attachments,
and one line of JSON about it. A ledger beside the data remembers what was landed, so no message is
landed twice, however often the DAG runs, fails or is cleared.

To use it with a mailbox of your own:

1. Add a connection of the type "IMAP (OAuth 2.0)" and authorize it with
   `airflow imap-oauth login CONN_ID`. If you call it `imap_oauth_default`, nothing changes below.
2. Say where the mail goes: set the Airflow Variable `imap_oauth_example_destination` to a folder or
   a bucket, for example `s3://aws_default@my-bucket/mail` (`aws_default` is a connection, too).
3. Choose the folder and the filter below.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_imap_oauth.operators.imap_oauth import ImapOAuthFetchOperator
from airflow_imap_oauth.sensors.imap_oauth import ImapOAuthMessageSensor

# Change this: the connection, and where the mail goes. Both are templates.
CONN_ID = "imap_oauth_default"
DESTINATION = "{{ var.value.imap_oauth_example_destination }}"

# Change this: the folder as people see it, and which of its messages. A filter is an IMAP SEARCH,
# for example '(FROM "reports@example.com")'. Give sensor and operator the same ones.
MAIL_FOLDER = "INBOX"
MAIL_FILTER = "ALL"

with DAG(
    dag_id="example_imap_oauth",
    doc_md=__doc__,
    # Change this: how often to look, for example "@hourly". None: when somebody triggers it.
    schedule=None,
    # One run at a time: two would land the same messages, and one of them for nothing.
    max_active_runs=1,
    # What a retry cannot mend (a revoked consent, a wrong host) fails at once in spite of these.
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["example", "imap_oauth"],
):
    wait_for_mail = ImapOAuthMessageSensor(
        task_id="wait_for_mail",
        imap_conn_id=CONN_ID,
        mail_folder=MAIL_FOLDER,
        mail_filter=MAIL_FILTER,
        # New is what the operator below has not landed there.
        ledger=DESTINATION,
        # No worker slot is held between two looks.
        mode="reschedule",
        poke_interval=60,
        timeout=timedelta(hours=1),
        # No mail is no failure: the run ends as skipped.
        soft_fail=True,
    )

    fetch_mail = ImapOAuthFetchOperator(
        task_id="fetch_mail",
        imap_conn_id=CONN_ID,
        destination=DESTINATION,
        mail_folder=MAIL_FOLDER,
        mail_filter=MAIL_FILTER,
        # Only some attachments: attachment_glob="*.csv". Without messages: parts=["attachments"].
    )

    wait_for_mail >> fetch_mail
