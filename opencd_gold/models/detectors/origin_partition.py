"""O-P: the origin's prediction picks the model of its partition.

https://arxiv.org/abs/2502.13407, the Origin-Partition strategy: at test time
and without a student. The authors copy images to folders between two runs;
here it is one prediction, scored by the ordinary evaluator.
"""
from typing import Dict, List, Optional

import torch
from mmengine.model import ModuleDict
from torch import Tensor

from opencd_gold.models.layers import resize_map
from opencd_gold.registry import MODELS, TASK_UTILS
from opencd_gold.structures import class_map

from .members import FrontedModel, Member, check_alike
from .routing import check_count


@MODELS.register_module()
class OriginPartitionDetector(FrontedModel):
    """A model for everything, and one for each range of change area ratio.

    The origin predicts; the change area ratio of its class map, at full size
    and without padding, picks the partition's model, whose prediction
    replaces it. Samples of a batch that share a partition are predicted
    together.

    Args:
        origin (dict): ``checkpoint``, and ``model`` (a model config) or
            ``config`` (path of a config).
        partitions (dict[str, dict]): By name, in the order of the router's
            partitions: the same keys; without ``model`` and ``config`` it is
            of the architecture of the origin.
        router (dict): Default: None, ``ChangeAreaRouter(inclusive=True)``.
        init_cfg (dict, optional): Default: None.

    Raises:
        ValueError: If the models are not as many as the partitions, their
            entries have unknown keys or name a checkpoint of another model,
            or one of them takes other images or gives another number of
            channels than the origin.
    """

    front = 'origin'

    def __init__(self,
                 origin: dict,
                 partitions: Dict[str, dict],
                 router: Optional[dict] = None,
                 init_cfg=None):
        first = Member('model.origin', origin)
        super().__init__(first.module.data_preprocessor, init_cfg)
        self.router = TASK_UTILS.build(
            router or dict(type='ChangeAreaRouter', inclusive=True))
        check_count(self.router, list(partitions), 'model.partitions')
        members = [first] + [
            Member(f'model.partitions.{name}', spec, default=first.model)
            for name, spec in partitions.items()
        ]
        self.origin = first.module
        for member in members[1:]:
            check_alike(member.name, member.module, 'origin', self.origin)
        self.partitions = ModuleDict(
            dict(zip(partitions, (each.module for each in members[1:]))))
        self.missing_checkpoints: List[str] = []
        for member in members:
            if member.checkpoint:
                member.load()
            else:
                self.missing_checkpoints.append(f'{member.name}.checkpoint')

    def forward(self, inputs: Tensor, data_samples=None,
                mode: str = 'tensor'):
        """Predict.

        Args:
            inputs (Tensor): ``(N, sum(channels), H, W)``.
            data_samples (list[SegDataSample], optional): Default: None.
            mode (str): ``'predict'`` or ``'tensor'``.

        Returns:
            list[SegDataSample] | Tensor: As of any detector, with
            ``partition`` (its name) in the meta information; or the logits
            ``(N, K, H, W)`` at the size of ``inputs``.

        Raises:
            ValueError: For another mode: nothing here trains.
        """
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.logits(inputs)
        raise ValueError(f'OriginPartitionDetector has no mode={mode!r}: its '
                         'models are trained one by one, see configs/mtkd')

    def predict(self, inputs: Tensor, data_samples=None) -> list:
        """Predictions of each sample's partition; see :meth:`forward`."""
        samples = self.origin(inputs, data_samples, mode='predict')
        results = list(samples)
        # Sizes may differ within a batch, once padding is cut off.
        chosen = [
            int(self.router(sample.pred_sem_seg.data)[0])
            for sample in samples
        ]
        for index, (name, model) in enumerate(self.partitions.items()):
            places = [i for i, each in enumerate(chosen) if each == index]
            if not places:
                continue
            own = (None if data_samples is None else
                   [samples[i] for i in places])
            found = model(inputs[places], own, mode='predict')
            for place, sample in zip(places, found):
                sample.set_metainfo(dict(partition=name))
                results[place] = sample
        return results

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits of each sample's partition, ``(N, K, H, W)``."""
        first = self._full_size(self.origin, inputs)
        chosen = self.router(_classes(first, self.origin))
        result = torch.empty_like(first)
        for index, model in enumerate(self.partitions.values()):
            places = (chosen == index).nonzero()[0].tolist()
            if places:
                result[places] = self._full_size(model, inputs[places])
        return result

    @staticmethod
    def _full_size(model, inputs: Tensor) -> Tensor:
        return resize_map(
            model(inputs, mode='tensor'), inputs.shape[-2:],
            model.align_corners)


def _classes(logits: Tensor, model) -> Tensor:
    """Class map ``(N, H, W)`` of logits ``(N, K, H, W)``."""
    scores = logits if logits.shape[1] > 1 else logits.sigmoid()
    return class_map(scores, model.decode_head.threshold).squeeze(1)
