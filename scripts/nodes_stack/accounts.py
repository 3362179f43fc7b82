"""Whose processes and folders they are.

PostgreSQL refuses to run as root, and nginx's workers should not. Started as root, those two run as
unprivileged accounts; started by anyone else, everything runs as that user.
"""

import grp
import os
import pathlib
import pwd
import stat


class Account:
    """A user a process runs as, with the group it was given."""

    def __init__(self, name: str | None = None) -> None:
        entry = pwd.getpwnam(name) if name else pwd.getpwuid(os.getuid())
        self.name = entry.pw_name
        self.uid = entry.pw_uid
        self.gid = entry.pw_gid
        self.group = grp.getgrgid(entry.pw_gid).gr_name

    @property
    def is_current(self) -> bool:
        return self.uid == os.geteuid()

    def popen_arguments(self) -> dict:
        """What makes `subprocess` start a process as this account."""
        if self.is_current:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: pathlib.Path) -> None:
        if not self.is_current:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, folder: pathlib.Path) -> bool:
        """Whether every folder down to this one may be traversed."""
        folder = folder.resolve()
        return all(self._may_traverse(part) for part in [folder, *folder.parents])

    def _may_traverse(self, folder: pathlib.Path) -> bool:
        status = folder.stat()
        if self.uid in (0, status.st_uid):
            return self.uid == 0 or bool(status.st_mode & stat.S_IXUSR)
        if self.gid == status.st_gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def first_existing(*names: str) -> Account:
    for name in names:
        try:
            return Account(name)
        except KeyError:
            continue
    raise SystemExit(f"none of the accounts {', '.join(names)} exists on this machine; create one of them")


def database_account() -> Account:
    return first_existing("postgres", "nobody") if os.geteuid() == 0 else Account()


def web_account() -> Account:
    return first_existing("www-data", "nobody") if os.geteuid() == 0 else Account()
