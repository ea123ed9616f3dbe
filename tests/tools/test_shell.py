"""The shell scripts: what they start, and what they refuse."""
import os
import subprocess

import pytest
from running import ROOT


def bash(script, *arguments, **environment):
    return subprocess.run(
        ['bash', str(ROOT / 'tools' / script), *arguments],
        env={
            **os.environ, 'PYTHON': 'echo',
            **environment
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False)


def test_train_on_one_machine():
    done = bash('dist_train.sh', 'a.py', '4', '--resume')
    assert done.stdout.split() == (
        '-m torch.distributed.run --nnodes=1 --node_rank=0 '
        '--master_addr=127.0.0.1 --master_port=29500 --nproc_per_node=4 '
        f'{ROOT}/tools/train.py a.py --resume --launcher pytorch').split()


def test_test_on_the_second_of_two_machines():
    done = bash('dist_test.sh', 'a.py', 'a.pth', '8', '--show-dir', 'x',
                NNODES='2', NODE_RANK='1', MASTER_ADDR='first', PORT='29123')
    assert done.stdout.split() == (
        '-m torch.distributed.run --nnodes=2 --node_rank=1 '
        '--master_addr=first --master_port=29123 --nproc_per_node=8 '
        f'{ROOT}/tools/test.py a.py a.pth --show-dir x '
        '--launcher pytorch').split()


@pytest.fixture
def srun(tmp_path):
    """A Slurm that shows what it is asked for."""
    fake = tmp_path / 'srun'
    fake.write_text('#!/bin/sh\necho "$@"\n')
    fake.chmod(0o755)
    return f'{tmp_path}:{os.environ["PATH"]}'


@pytest.mark.parametrize('script, tool, arguments', [
    ('slurm_train.sh', 'train.py', ['a.py', '--amp']),
    ('slurm_test.sh', 'test.py', ['a.py', 'a.pth']),
])
def test_slurm(srun, script, tool, arguments):
    done = bash(script, 'gpu', 'job', *arguments, PATH=srun, GPUS='4')
    assert done.stdout.split() == (
        '-p gpu --job-name=job --gres=gpu:4 --ntasks=4 --ntasks-per-node=4 '
        '--cpus-per-task=5 --kill-on-bad-exit=1 echo -u '
        f'{ROOT}/tools/{tool} {" ".join(arguments)} '
        '--launcher slurm').split()


@pytest.mark.parametrize('script, arguments', [
    ('dist_train.sh', ['a.py']),
    ('dist_test.sh', ['a.py', 'a.pth']),
    ('slurm_train.sh', ['gpu', 'job']),
    ('slurm_test.sh', ['gpu', 'job', 'a.py']),
])
def test_too_few_arguments(script, arguments):
    done = bash(script, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith('usage: bash ')


def test_number_of_gpus_that_is_none():
    done = bash('dist_train.sh', 'a.py', '--resume')
    assert done.returncode == 2
    assert done.stderr == "error: GPUS must be a number, found '--resume'\n"


@pytest.mark.parametrize('arguments, message', [
    (['--confg', 'x'], 'unknown option --confg'),
    (['--config'], '--config expects a value'),
    (['--config', 'nope.py'], f'--config: no file {os.getcwd()}/nope.py'),
    (['--data-root', '/nope'], '--data-root: no folder /nope'),
    (['--python', 'false'], 'opencd_gold cannot be imported by false'),
])
def test_quickstart_refuses(arguments, message):
    done = bash('quickstart.sh', *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(f'error: {message}')


def test_quickstart_explains_itself():
    done = bash('quickstart.sh', '--help')
    assert done.returncode == 0
    for option in ('--data-root', '--config', '--work-dir', '--python'):
        assert option in done.stdout
