"""Random state in the checkpoint, so that a resumed run draws the same."""
from typing import List, Optional

from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.logging import print_log

from opencd_gold.registry import HOOKS

from ..random_state import restore_random_state, training_random_state

_KEY = 'random_states'


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Keep the state of the random generators over an interruption.

    Checkpoints get ``random_states``, one entry a process: python, numpy,
    torch and CUDA; see
    :func:`opencd_gold.engine.random_state.capture_random_state`. A resumed
    run restores them just before its first iteration. A run that only loads
    weights does not, nor does one with another number of processes.

    With a plain ``CheckpointHook`` the main process alone is kept; with
    :class:`~opencd_gold.engine.hooks.AtomicCheckpointHook` all are.
    """

    priority = 'LOWEST'

    def __init__(self) -> None:
        self._gathered: Optional[List[dict]] = None
        self._loaded: Optional[List[dict]] = None

    def before_gather_checkpoint(self, runner) -> None:
        """Collect the states of all processes.

        Args:
            runner (Runner): Of the training.
        """
        self._gathered = all_gather_object(training_random_state())

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Put the states into the checkpoint.

        Args:
            runner (Runner): Of the training.
            checkpoint (dict): About to be saved.
        """
        checkpoint[_KEY] = self._gathered or [training_random_state()]
        self._gathered = None

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Remember the states that were saved.

        Args:
            runner (Runner): Of the training.
            checkpoint (dict): As loaded.
        """
        self._loaded = checkpoint.get(_KEY)

    def before_train(self, runner) -> None:
        """Restore them if the run goes on from a checkpoint.

        Args:
            runner (Runner): Of the training.
        """
        states, self._loaded = self._loaded, None
        if states is None or runner.iter == 0:
            return
        if get_rank() < len(states):
            restore_random_state(states[get_rank()])
        else:
            print_log(
                f'the checkpoint holds the random state of {len(states)} '
                'process(es): this one starts from the seed',
                logger='current')
