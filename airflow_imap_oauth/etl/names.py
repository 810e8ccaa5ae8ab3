# SPDX-FileCopyrightText: The airflow-imap-oauth authors
# SPDX-License-Identifier: Apache-2.0
"""
Names of everything in a destination, all derived from the occurrence key.

An occurrence is (account, mail folder, UIDVALIDITY, UID): one message in one place. Its names never
change, so that writing it again is harmless, and two mailboxes may share a destination. Nothing a
sender or a folder's owner chose reaches a name unless it is harmless: readable text is reduced to
letters, digits, dot, dash and underscore, and a hash tells apart what looks alike.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass

MARKER = "destination.json"
_SLUG_CHARACTERS = re.compile(r"[^A-Za-z0-9_]+")
_LONGEST_SECTION = 40
_SECTION = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderKey:
    """
    One mail folder of one account.

    :param account: The mailbox, as in the connection; upper and lower case are the same.
    :param mail_folder: Unicode name; ``INBOX`` in any case is the same (RFC 9051 section 5.1).
    """

    account: str
    mail_folder: str

    @classmethod
    def of(cls, account: str, mail_folder: str) -> FolderKey:
        """Make the key in its one spelling, so that two spellings do not become two ledgers."""
        folder = "INBOX" if mail_folder.upper() == "INBOX" else mail_folder
        return cls(account=account.strip().lower(), mail_folder=folder)

    @property
    def name(self) -> str:
        """Folder name in the destination."""
        digest = short_hash(self.account, self.mail_folder)
        return f"{slug(self.account)}.{slug(self.mail_folder)}.{digest}"

    @property
    def ledger(self) -> str:
        """Folder of its ledger."""
        return f"ledger/{self.name}"

    def data(self, kind: str, uidvalidity: int) -> str:
        """
        Return the folder of its data.

        :param kind: ``mail``, ``attachments``, ``quarantine`` or ``records``.
        """
        return f"{kind}/{self.name}/{uidvalidity}"

    def eml(self, uidvalidity: int, uid: int) -> str:
        """Name of a whole message."""
        return f"{self.data('mail', uidvalidity)}/{uid:010d}.eml"

    def quarantined(self, uidvalidity: int, uid: int) -> str:
        """Name of the raw bytes of a message that could not be landed."""
        return f"{self.data('quarantine', uidvalidity)}/{uid:010d}.eml"

    def attachment(self, uidvalidity: int, uid: int, section: str, base_name: str) -> str:
        """
        Name of one attachment: no two parts of a message share one.

        :param section: IMAP section of the part.
        :param base_name: Already safe
            (:func:`airflow_imap_oauth.imap.names.attachment_name`).
        """
        where = f"{self.data('attachments', uidvalidity)}/{uid:010d}"
        return f"{where}/{_short(_SECTION.sub('_', section))}-{base_name}"

    def records(self, uidvalidity: int, uids: tuple[int, int], commit_id: str) -> str:
        """
        Name of the JSON Lines of one commit.

        :param uids: Its first and last UID.
        :param commit_id: Keeps two runs that try the same messages apart.
        """
        first, last = uids
        where = self.data("records", uidvalidity)
        return f"{where}/{first:010d}-{last:010d}-{commit_id}.jsonl"

    def commit(self, seq: int) -> str:
        """Name of one commit; ``seq`` counts from 1 without a gap."""
        return f"{self.ledger}/commits/{seq:010d}.json"

    def checkpoint(self, seq: int) -> str:
        """Name of the state as of one commit."""
        return f"{self.ledger}/checkpoints/{seq:010d}.json"

    def plan(self, run_id: str) -> str:
        """Name of the plan of one run."""
        return f"{self.ledger}/plans/{run_key(run_id)}.json"

    @property
    def tip(self) -> str:
        """Name of the hint at the last commit."""
        return f"{self.ledger}/tip.json"


def run_key(run_id: str) -> str:
    """Return a file name for any run id."""
    return f"{slug(run_id, 80)}.{short_hash(run_id)}"


def run_record(run_id: str) -> str:
    """Name of the record of one run."""
    return f"runs/{run_key(run_id)}.json"


def slug(text: str, longest: int = 40) -> str:
    """Return what of ``text`` is safe in any file or object name; never empty."""
    plain = unicodedata.normalize("NFKD", text)
    return _SLUG_CHARACTERS.sub("-", plain)[:longest].strip("-") or "x"


def short_hash(*texts: str) -> str:
    """Return 16 hexadecimal digits that tell these texts from all others."""
    canonical = json.dumps(texts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:16]


def _short(section: str) -> str:
    """Keep the names of deeply nested parts within what file systems take (255 bytes)."""
    if len(section) <= _LONGEST_SECTION:
        return section
    return f"{section[:16]}~{short_hash(section)}"
