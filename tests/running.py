"""How tests start tools and processes."""
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_tool(monkeypatch, tool, *arguments):
    """Run a tool in this process; return what it exits with, None if 0."""
    monkeypatch.setattr(sys, 'argv', [str(tool), *map(str, arguments)])
    try:
        runpy.run_path(str(ROOT / tool), run_name='__main__')
    except SystemExit as stop:
        return stop.code or None
    return None


def run_python(*arguments, **environment):
    """Run a fresh interpreter, on one thread, with tests/ on its path.

    After two minutes it ends, with whatever it started.
    """
    command = [sys.executable, *map(str, arguments)]
    environment = {
        **os.environ, 'OMP_NUM_THREADS': '1',
        'PYTHONPATH': str(ROOT / 'tests'),
        **environment
    }
    with subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True) as process:
        try:
            output, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output,
                                       errors)


def run_processes(count, script, *arguments):
    """Run a script in ``count`` processes through torchrun."""
    return run_python('-m', 'torch.distributed.run', '--nproc_per_node',
                      count, '--master_port', 20000 + os.getpid() % 20000,
                      script, *arguments)
