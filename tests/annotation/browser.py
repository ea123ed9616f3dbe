"""A server on a data root, and a browser that drives the page."""
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import uvicorn
from running import ROOT

from opencd_gold.annotation.project import Project
from opencd_gold.annotation.server import create_app

TOKEN = 'token-of-the-tests'
_TOOL = runpy.run_path(str(
    ROOT / 'tools/analysis_tools/_annotate_browser.py'))
find_browser, open_browser = _TOOL['find_browser'], _TOOL['open_browser']
measure, start_tool = _TOOL['measure'], _TOOL['start_tool']


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return found.getsockname()[1]


def address_of(port):
    """Where the page is, with its token."""
    return f'http://127.0.0.1:{port}/?token={TOKEN}'


@contextmanager
def serve(root, classes=('changed', 'flooded:#0072b2'), inferencer=None,
          port=0):
    """A server in a thread of this process; yields its address."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(('127.0.0.1', port))
    server = uvicorn.Server(uvicorn.Config(
        create_app(Project.open(root, classes), TOKEN, inferencer),
        log_level='warning', access_log=False, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run,
                              kwargs=dict(sockets=[listener]))
    thread.start()
    try:
        yield address_of(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def serve_tool(root, port):
    """tools/annotate.py in a process of its own; yields the process."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1',
                   'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / 'tools/annotate.py'), str(root),
         '--port', str(port), '--token', TOKEN, '--no-browser'],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: answers(port) or process.poll() is not None, 120)
        assert process.poll() is None, process.stdout.read().decode()
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


def answers(port):
    """Whether a server listens."""
    try:
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=5):
            return True
    except OSError:
        return False


def wait_for(condition, seconds=20):
    """Wait until a condition holds; what it answers then."""
    end = time.monotonic() + seconds
    found = None
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.03)
    raise AssertionError(f'not within {seconds} s')


class Driver:
    """The page in one window.

    Args:
        page: Playwright's.
        address (str): Of the server, with its token.
    """

    def __init__(self, page, address):
        self.page = page
        self.errors = []
        page.on('pageerror', lambda error: self.errors.append(str(error)))
        page.goto(address)
        self.idle()

    def get(self, expression):
        """Value of a member of ``window.annotator``."""
        return self.page.evaluate(f'annotator.{expression}')

    def idle(self):
        """Wait until all is drawn, computed and saved."""
        self.page.evaluate('annotator.waitForIdle()')

    def wait(self, expression, seconds=20):
        """Wait for a member of ``window.annotator``."""
        return wait_for(lambda: self.get(expression), seconds)

    def at(self, pane, point):
        """Where a point of the grid is on the screen."""
        return self.get(f'toClient({pane}, {list(map(float, point))})')

    def move(self, pane, point):
        self.page.mouse.move(*self.at(pane, point))

    def click(self, pane, point, *modifiers):
        for key in modifiers:
            self.page.keyboard.down(key)
        self.page.mouse.click(*self.at(pane, point))
        for key in modifiers:
            self.page.keyboard.up(key)

    def drag(self, pane, points, button='left'):
        """Press at the first point, move over all, release."""
        self.move(pane, points[0])
        places = [self.at(pane, point) for point in points]
        self.page.mouse.down(button=button)
        for place in places[1:]:
            self.page.mouse.move(*place, steps=4)
        self.page.mouse.up(button=button)
        self.idle()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        self.idle()

    def polygon(self, pane, points):
        """Draw a polygon with the mouse."""
        self.page.keyboard.press('p')
        for point in points:
            self.click(pane, point)
        self.press('Enter', 'v')

    @property
    def document(self):
        self.idle()
        return self.get('document')

    @property
    def shapes(self):
        return self.document['shapes']
