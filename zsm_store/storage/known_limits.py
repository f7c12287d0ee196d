"""What file systems are known not to do for a registry, and how fresh answers are.

Measured with two hosts on one drive, see `docs/freshness.md` and `docs/guarantees.md`.
What this package does about a limit stands beside it: who reads it need not worry more
than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zsm_store.storage.file_system import is_shared, mount_of
from zsm_store.storage.marker_lock import SILENCE_S

if TYPE_CHECKING:
    from pathlib import Path


class Limit(NamedTuple):
    """One promise that is not kept, or kept in another way."""

    text: str
    """What is so there, and what is done about it."""
    advice: str = ""
    """What somebody can do about it."""
    is_obvious: bool = False
    """Whether who puts a registry there knows that."""


_NFS = frozenset({"nfs", "nfs4"})
_SMB = frozenset({"cifs", "smb3", "smbfs"})
_GLUSTER = frozenset({"fuse.glusterfs"})
_MOOSE = frozenset({"fuse.mfs", "fuse.moosefs"})
_SSHFS = frozenset({"fuse.sshfs"})
_FAT = frozenset({"exfat", "msdos", "vfat"})
_MEMORY = frozenset({"ramfs", "tmpfs"})
_NO_JOURNAL = frozenset({"ext2"}) | _FAT

_DEAD_HOLDER = Limit(
    f"a writer that dies on another host blocks the others for up to {SILENCE_S:g} s"
)
_HIDDEN = Limit(
    "a file that another host replaces cannot be opened for moments; it is tried again "
    "for up to 2 s"
)
_TABLE: tuple[tuple[frozenset[str], tuple[Limit, ...]], ...] = (
    (_NFS | _SMB | _GLUSTER, (_HIDDEN,)),
    (
        _SMB,
        (
            Limit(
                "a save may be refused while another host reads the artifact that it "
                "replaces; it is tried again for up to 2 s"
            ),
        ),
    ),
    (
        _SSHFS,
        (
            Limit(
                "a rename is not atomic for readers on other hosts: they may see a "
                "torn file for a moment; its digest tells, and it is read again"
            ),
            Limit(
                "what other hosts save, and that they release the lock, may be seen up "
                "to 21 s late, and a bundle may mix two moments of what they wrote",
                "mount it with -o dir_cache=no,attr_timeout=0,entry_timeout=0,"
                "negative_timeout=0",
            ),
        ),
    ),
    (
        _NO_JOURNAL,
        (
            Limit(
                "it has no journal: a power cut may damage the directory, and what was "
                "saved before with it",
                "put the registry on ext4, xfs or btrfs",
            ),
        ),
    ),
    (
        _FAT,
        (
            Limit("it has no permissions: whoever may mount it may change everything"),
            Limit(
                "it stamps files with whole seconds or every other one: lookups have "
                "to list the registry more often"
            ),
        ),
    ),
    (
        _MEMORY,
        (
            Limit(
                "it is in memory: nothing on it survives a power cut or a restart",
                "put the registry on a disk if it is to last",
                is_obvious=True,
            ),
        ),
    ),
)
_FRESHNESS = (
    (_NFS, "within 0.1 s"),
    (_SMB, "within about 1 s"),
    (_GLUSTER, "within 1.6 s"),
    (_MOOSE, "within 1 s"),
    (_SSHFS, "within 21 s, or at once where its caches are off"),
)
_NO_BARRIERS = frozenset({"barrier=0", "nobarrier"})


def known_limits(path: Path) -> list[Limit]:
    """Return what is known not to hold where a path lies."""
    mount = mount_of(path)
    if mount is None:
        return []
    found = [_DEAD_HOLDER] if is_shared(path) else []
    for types, limits in _TABLE:
        if mount.type in types:
            found += limits
    if not _NO_BARRIERS.isdisjoint(mount.options.split(",")):
        text = "it is mounted without barriers: a power cut may take what was saved"
        found.append(Limit(text, "mount it without 'nobarrier' or 'barrier=0'"))
    return found


def freshness_bound(path: Path) -> str | None:
    """Say how soon a lookup sees what other hosts save; None where nobody knows."""
    mount = mount_of(path)
    for types, bound in _FRESHNESS:
        if mount is not None and mount.type in types:
            return bound
    return None
