"""Queues of threads: order, bounds, errors, no thread left behind."""
import threading
import time

import pytest

from opencd_gold.scenes.pipeline import Drain, prefetch


def names():
    return {thread.name for thread in threading.enumerate()}


def test_prefetch_keeps_order_and_stays_a_few_ahead():
    drawn = []

    def source():
        for index in range(20):
            drawn.append(index)
            yield index

    for index in prefetch(source(), depth=2):
        time.sleep(0.001)
        # One in hand, two waiting, one about to be put.
        assert len(drawn) <= index + 4
    assert drawn == list(range(20))
    assert 'prefetch' not in names()


def test_prefetch_raises_what_its_source_does():

    def source():
        yield 1
        raise OSError('gone')

    items = prefetch(source())
    assert next(items) == 1
    with pytest.raises(OSError, match='gone'):
        next(items)
    assert 'prefetch' not in names()


def test_prefetch_left_early_closes_its_source():
    closed = []

    def source():
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    items = prefetch(source())
    next(items)
    items.close()
    assert closed and 'prefetch' not in names()


def test_drain_keeps_order():
    found = []
    with Drain(lambda *pair: found.append(pair)) as drain:
        for index in range(10):
            drain.put(index, -index)
    assert found == [(index, -index) for index in range(10)]
    assert 'drain' not in names()


def test_drain_raises_what_its_function_does():

    def fail(item):
        raise OSError(f'disk full at {item}')

    def run():
        with Drain(fail) as drain:
            for index in range(100):
                drain.put(index)
                time.sleep(0.001)

    with pytest.raises(OSError, match='disk full at 0'):
        run()
    assert 'drain' not in names()


def test_drain_drops_what_waits_when_its_block_fails():
    found = []

    def slow(item):
        time.sleep(0.02)
        found.append(item)

    def run():
        with Drain(slow, depth=3) as drain:
            for index in range(3):
                drain.put(index)
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert len(found) <= 2
