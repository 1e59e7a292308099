"""What is read from a repository is a regular file of bounded size, whatever lies under the name.

A link to a device never ends, a FIFO waits for a writer, a sparse file is larger than the memory: each of them would
stop the program that reads it. They are refused by name before they are opened. Links are followed to regular files.
"""

from __future__ import annotations

import codecs
import os
import stat
from io import BufferedReader
from pathlib import Path

from modelport.errors import FailedPrecondition, InvalidArgument, NotFound, from_os_error

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
_FOREIGN_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading, without ever waiting for it.

    Raises:
        OSError: it cannot be opened.
        FailedPrecondition: it is no regular file; what it is is said.
    """
    _check_kind(path, path.stat())  # before it is opened: to open a FIFO or a device has effects of its own
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _check_kind(path, os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bounded(path: Path, most_bytes: int, doing: str = "read") -> bytes:
    """The content of a regular file; `doing` goes into what is said of a file that cannot be read.

    Raises:
        NotFound: there is no such file.
        FailedPrecondition: it is no regular file, or larger than `most_bytes`.
        PermissionDenied, …: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > most_bytes else file.read(most_bytes + 1)  # it may grow, or say 0 as /proc does
    except NotADirectoryError as error:
        raise NotFound(f"Cannot {doing} {str(path)!r}: {error.strerror}.") from error
    except OSError as error:
        raise from_os_error(error, doing, path) from error
    size = max(size, len(data))
    if size > most_bytes:
        raise FailedPrecondition(
            f"Expected at most {most_bytes:,} bytes in {str(path)!r}. Received: a file of {size:,} bytes or more."
        )
    return data


def read_text(path: Path, most_bytes: int, doing: str = "read") -> str:
    """The content of a text file in UTF-8, without its byte-order mark; line ends are left as they are.

    Raises:
        InvalidArgument: it is in another encoding.
        NotFound, FailedPrecondition, …: as `read_bounded`.
    """
    data = read_bounded(path, most_bytes, doing)
    mark = next((mark for mark in _FOREIGN_MARKS if data.startswith(mark)), None)
    if mark is not None:
        raise _no_utf8(path, f"its byte-order mark is that of {_FOREIGN_MARKS[mark]}")
    if b"\0" in data:
        raise _no_utf8(path, f"byte {data.index(0)} is zero, as in UTF-16 or a binary file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _no_utf8(path, f"byte {error.start}, in line {line}, is 0x{data[error.start]:02x}") from error


def files_below(folder: Path) -> list[Path]:
    """All files of a tree, sorted. It has nothing but folders, regular files and links to regular files.

    Raises:
        FailedPrecondition: there is something else in it; the message names it.
        NotFound, PermissionDenied, …: a folder or a link's file cannot be looked at.
    """
    found: list[Path] = []
    try:
        for root, folders, names in os.walk(folder, onerror=_raise):
            linked = [name for name in folders if Path(root, name).is_symlink()]
            found += [Path(root, name) for name in (*names, *linked)]
        for path in found:
            _check_kind(path, path.stat())
    except OSError as error:
        raise from_os_error(error, "look at", error.filename or folder) from error
    return sorted(found)


def refuse_special_files(folder: Path) -> None:
    """Refuse a folder with a FIFO, a device or a socket directly in it: whoever reads one may never come to an end.

    For readers of others' folders: links to folders and links that lead nowhere pass, and so does what is no folder.

    Raises:
        FailedPrecondition: there is one; the message names it.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return  # whoever needs it will say so
    for path in paths:
        try:
            found = path.stat()
        except OSError:
            continue
        if not stat.S_ISDIR(found.st_mode):
            _check_kind(path, found)


def copy_regular(source: str, target: str) -> str:
    """Copy content and mode of a regular file: the `copy_function` of `shutil.copytree`. Raises as `open_regular`."""
    with open_regular(Path(source)) as reader, Path(target).open("wb") as writer:
        while piece := reader.read(_COPY_BYTES):
            writer.write(piece)
        os.fchmod(writer.fileno(), stat.S_IMODE(os.fstat(reader.fileno()).st_mode))
    return target


_COPY_BYTES = 2**20  # a piece: so large that the calls do not count, so small that memory does not


def _check_kind(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "of an unknown kind")
        link = f"a link to {str(path.readlink())!r}, " if path.is_symlink() else ""
        raise FailedPrecondition(f"Expected a regular file. Received: {str(path)!r}, which is {link}{kind}.")


def _no_utf8(path: Path, why: str) -> InvalidArgument:
    return InvalidArgument(f"Expected UTF-8 text in {str(path)!r}; it is no UTF-8: {why}. Save it as UTF-8.")


def _raise(error: OSError) -> None:
    raise error
