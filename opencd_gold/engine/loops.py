"""Training loop whose resumed run equals the one that never stopped."""
import math

from mmengine.dist import get_world_size
from mmengine.runner import IterBasedTrainLoop
from mmengine.runner.loops import _InfiniteDataloaderIterator

from opencd_gold.registry import LOOPS

from .random_state import kept_random_state


@LOOPS.register_module()
class ResumableIterTrainLoop(IterBasedTrainLoop):
    """Iteration-based training that resumes at once and exactly.

    Differs from mmengine's loop in four points:

    - On resume the sampler is told how many samples are done, instead of
      loading and augmenting them all to throw them away.
    - Validation leaves the random state of training as it was.
    - A run that was killed between saving and validating validates first
      when it is resumed, so no score is missing.
    - It announces ``iters_per_epoch`` in the message hub, so that schedules
      given in epochs have a meaning; see
      :mod:`opencd_gold.engine.progress`.

    Arguments are those of :class:`mmengine.runner.IterBasedTrainLoop`. The
    sampler should have a method ``skip(num_samples)``, as
    :class:`opencd_gold.datasets.SeededInfiniteSampler` has; with another,
    the samples are loaded and dropped.
    """

    def run(self):
        """Train.

        Returns:
            nn.Module: The trained model.
        """
        runner = self.runner
        runner.message_hub.update_info('iters_per_epoch',
                                       self._iters_per_epoch())
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        if self._iter > 0:
            self._skip_done()
            self._decide_current_val_interval()
            self._validate_if_due()
        while self._iter < self._max_iters and not self.stop_training:
            runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            self._validate_if_due()
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        return runner.model

    def _iters_per_epoch(self) -> int:
        """Iterations that see as many samples as the set has."""
        samples = self.dataloader.batch_size * get_world_size()
        return max(math.ceil(len(self.dataloader.dataset) / samples), 1)

    def _skip_done(self) -> None:
        """Let the data go on after the iterations that are done."""
        skip = getattr(self.dataloader.sampler, 'skip', None)
        with kept_random_state():
            if skip is None:
                for _ in range(self._iter):
                    next(self.dataloader_iterator)
            else:
                skip(self._iter * self.dataloader.batch_size)
                self.dataloader_iterator = _InfiniteDataloaderIterator(
                    self.dataloader)

    def _validate_if_due(self) -> None:
        """Validate at the interval and at the end."""
        if (self.runner.val_loop is None or self._iter < self.val_begin
                or (self._iter % self.val_interval
                    and self._iter != self._max_iters)):
            return
        with kept_random_state():
            self.runner.val_loop.run()
