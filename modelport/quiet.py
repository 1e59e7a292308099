"""Keep the notes that native libraries write to stderr while they are imported off a person's terminal.

TensorFlow 2.21 tells of oneDNN and of CPU features at every import, through a channel that no setting closes. Commands
(never libraries: stderr is the embedding program's) import it inside `native_notes_held_back`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def native_notes_held_back() -> Iterator[None]:
    """Hold back what is written to file descriptor 2; when the block raises, it is written after all."""
    if sys.stderr is None:  # closed: nobody reads it
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(kept, 2)
            notes.seek(0)
            os.write(2, notes.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
