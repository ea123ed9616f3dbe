"""Work in threads beside the main one, through queues that cannot grow."""
import queue
import threading
from typing import Callable, Iterable, Iterator

_END = object()


def prefetch(items: Iterable, depth: int = 2) -> Iterator:
    """Iterate in a thread of its own, a few items ahead.

    Args:
        items (Iterable): Iterated by the thread; a generator is closed by it.
        depth (int): Items that wait at most. Default: 2.

    Yields:
        The items. What iterating raises is raised here.
    """
    waiting = queue.Queue(depth)
    stop = threading.Event()

    def put(item):
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work():
        source = iter(items)
        try:
            for item in source:
                put((item, None))
                if stop.is_set():
                    break
            put((_END, None))
        except BaseException as error:
            put((_END, error))
        finally:
            if hasattr(source, 'close'):
                source.close()

    thread = threading.Thread(target=work, name='prefetch', daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()


class Drain:
    """Calls a function in a thread of its own, in order.

    To be used as a context. What the function raises ends the thread, and is
    raised by the next :meth:`put` or at the end of the context.

    Args:
        function (Callable): Called with the arguments of each :meth:`put`.
        depth (int): Calls that wait at most. Default: 2.
    """

    def __init__(self, function: Callable, depth: int = 2):
        self.function = function
        self._waiting = queue.Queue(depth)
        self._error = None
        self._abandoned = False
        self._thread = threading.Thread(
            target=self._work, name='drain', daemon=True)

    def _work(self):
        while True:
            arguments = self._waiting.get()
            if arguments is _END:
                return
            if self._error is None and not self._abandoned:
                try:
                    self.function(*arguments)
                except BaseException as error:
                    self._error = error

    def put(self, *arguments) -> None:
        """Hand over; waits where too much is waiting."""
        if self._error is not None:
            raise self._error
        self._waiting.put(arguments)

    def __enter__(self) -> 'Drain':
        self._thread.start()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._abandoned = kind is not None
        self._waiting.put(_END)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error
