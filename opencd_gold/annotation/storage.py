"""Where annotations are kept, so that none is lost.

- A file is replaced at once by a complete one that is on the disk already.
- The version of a document is a number made of the bytes of its file, 0
  without one. Who stores says which version that is an edit of; if the file
  is another by now, whoever wrote it, nothing is stored.
- One window of the page at a time holds the lease of a pair. A lease that is
  not renewed ends.
"""
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from opencd_gold.scenes.grid import SceneError
from opencd_gold.scenes.parts import write_atomically

from .errors import AnnotationError, Conflict, Locked
from .labelme import STATES, Document, Shape, parse, serialize
from .project import Pair, Project

try:
    import fcntl
except ImportError:
    # Windows: two servers on one folder are told apart by versions alone.
    fcntl = None

LEASE = 15.
_FILE_LIMIT = 256 * 2**20


class _Lease(NamedTuple):
    window: str
    end: float


class Storage:
    """Documents of a project.

    Args:
        project (Project): Whose pairs they are of.
        clock (Callable): Seconds, for leases. Default:
            ``time.monotonic``.
    """

    def __init__(self, project: Project,
                 clock: Callable[[], float] = time.monotonic):
        self.project = project
        self.clock = clock
        self._lock = threading.RLock()
        self._leases: Dict[str, _Lease] = {}
        self._summaries: Dict[str, tuple] = {}

    def _path(self, pair: Pair) -> Path:
        path = self.project.document(pair)
        self.project.check_inside(path)
        return path

    def _read(self, path: Path) -> bytes:
        """Content of a file, empty where there is none."""
        try:
            if path.stat().st_size > _FILE_LIMIT:
                raise AnnotationError(
                    f'{path} has {path.stat().st_size >> 20} MiB, expected '
                    f'at most {_FILE_LIMIT >> 20}')
            return path.read_bytes()
        except FileNotFoundError:
            return b''
        except OSError as error:
            raise AnnotationError(f'{path} cannot be read: {error}'
                                  ) from error

    def load(self, pair: Pair,
             unsaid: str = 'draft') -> Tuple[Document, int]:
        """What is drawn in a pair.

        Args:
            pair (Pair): Of the project.
            unsaid (str): State of a file that does not say one, as labelme
                alone made it. Default: ``'draft'``.

        Returns:
            tuple[Document, int]: And its version.

        Raises:
            AnnotationError: If the file is none of labelme, or cannot be
                read.
        """
        path = self._path(pair)
        content = self._read(path)
        if not content and not path.exists():
            return Document(), 0
        document = parse(content, path)
        if document.state is None:
            document.state = unsaid
        return document, version_of(content)

    def version(self, pair: Pair) -> int:
        """Version of a pair's document, see :func:`version_of`."""
        return version_of(self._read(self._path(pair)))

    def summary(self, pair: Pair) -> Tuple[str, int]:
        """State of a pair and how many shapes it has."""
        path = self._path(pair)
        try:
            found = path.stat()
        except FileNotFoundError:
            return 'todo', 0
        except OSError as error:
            raise AnnotationError(f'{path} cannot be read: {error}'
                                  ) from error
        key = (found.st_mtime_ns, found.st_size, found.st_ino)
        known = self._summaries.get(pair.name)
        if known is None or known[0] != key:
            document, _ = self.load(pair)
            known = key, (document.state, len(document.shapes))
            self._summaries[pair.name] = known
        return known[1]

    def save(self, pair: Pair, window: str, base_version: int, state: str,
             notes: str, shapes: List[Shape], width: int,
             height: int) -> int:
        """Store what a window drew.

        Keys of the file and of its shapes that the page does not know stay.

        Args:
            pair (Pair): Of the project.
            window (str): That asks; it gets the lease if it is free.
            base_version (int): That was edited.
            state (str): One of ``STATES``.
            notes (str): Of the annotator.
            shapes (list[Shape]): All of the document.
            width (int): Of A, in pixels.
            height (int): Of A, in pixels.

        Returns:
            int: The new version.

        Raises:
            Locked: If another window has the lease.
            Conflict: If the file is not of ``base_version``.
            AnnotationError: If it cannot be read or written, or ``state`` is
                unknown; nothing has changed then.
        """
        if state not in STATES:
            raise AnnotationError(f'state {state!r}: expected one of '
                                  f'{", ".join(STATES)}')
        ids = [shape.id for shape in shapes]
        if not all(ids) or len(set(ids)) < len(ids):
            raise AnnotationError('shapes: expected an id for each, and '
                                  'each another')
        path = self._path(pair)
        with self._lock:
            self.lease(pair, window)
            with _alone(self.project.annotations):
                known, version = self.load(pair)
                if version != base_version:
                    raise Conflict(
                        f'{pair.name} was changed by somebody else since it '
                        'was loaded; nothing was stored', version=version)
                extras = {shape.id: shape.extra for shape in known.shapes}
                for shape in shapes:
                    shape.extra = extras.get(shape.id, {})
                content = serialize(
                    Document(shapes, state, notes, known.others,
                             known.extra),
                    path, pair.images['A'], width, height)
                write(path, content)
        return version_of(content)

    def lease(self, pair: Pair, window: str, take: bool = False) -> None:
        """Get or renew the lease of a pair.

        Args:
            pair (Pair): Of the project.
            window (str): That asks.
            take (bool): From another window, too. Default: False.

        Raises:
            Locked: If another window has it.
        """
        if not window:
            raise AnnotationError('window: expected a name')
        with self._lock:
            now = self.clock()
            held = self._leases.get(pair.name)
            if (held is not None and held.window != window
                    and held.end > now and not take):
                raise Locked(f'{pair.name} is open in another window',
                             held=False)
            self._leases[pair.name] = _Lease(window, now + LEASE)

    def release(self, pair: Pair, window: str) -> None:
        """Give a lease up, if the window has it."""
        with self._lock:
            held = self._leases.get(pair.name)
            if held is not None and held.window == window:
                del self._leases[pair.name]


def version_of(content: bytes) -> int:
    """Number of a file's bytes that JavaScript can hold; 0 for none."""
    if not content:
        return 0
    return 1 + int(hashlib.sha256(content).hexdigest()[:12], 16)


def write(path: Path, content: bytes) -> None:
    """Replace a file by one that is on the disk.

    Args:
        path (Path): Its folder is made if it is not there.
        content (bytes): All of it.

    Raises:
        AnnotationError: If it cannot be written; the old one stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
        _sync_folder(path.parent)
    except (OSError, SceneError) as error:
        raise AnnotationError(f'{path} was not stored: {error}') from error


def _sync_folder(folder: Path) -> None:
    """Have the new name of a file on the disk as well."""
    if os.name != 'posix':
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other servers on the folder from writing meanwhile."""
    if fcntl is None:
        yield
        return
    lock = folder / '.cache' / 'lock'
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = open(lock, 'w')
    except OSError as error:
        raise AnnotationError(f'{folder} cannot be written to: {error}'
                              ) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
