"""Work in the background of a page that stays usable."""
import os
import sys
import threading


def yield_processor() -> None:
    """Let the other threads of the process go first.

    On Linux priorities are those of threads, and what a thread starts has
    its own; elsewhere nothing happens.
    """
    if sys.platform == 'linux':
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
