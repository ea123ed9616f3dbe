"""From the authors' checkpoints to this package's names.

A system has one :class:`KeyRules`: which of its keys become which, and which
are dead, i.e. never used by the authors' own forward pass.
"""
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Dict, List, Tuple

from torch import Tensor


@dataclass(frozen=True)
class KeyRules:
    """How the keys of one system are renamed.

    Attributes:
        renames (tuple[tuple[str, str], ...]): Regular expression at the start
            of a key, and what replaces it; the first that matches wins.
        dead (tuple[str, ...]): Regular expressions, at the start, of keys
            that the authors' network holds and never uses.
    """

    renames: Tuple[Tuple[str, str], ...]
    dead: Tuple[str, ...] = ()

    def convert(
        self, state: Dict[str, Tensor]
    ) -> Tuple['OrderedDict[str, Tensor]', List[str]]:
        """Rename a state dict.

        Args:
            state (dict[str, Tensor]): The authors'; a leading ``module.`` of
                data-parallel training is dropped.

        Returns:
            tuple[OrderedDict, list[str]]: The renamed state, and the dead
            keys that were left out.

        Raises:
            KeyError: Naming keys that fit no rule, i.e. a checkpoint of
                another model.
        """
        converted, dead, unknown = OrderedDict(), [], []
        for key, value in state.items():
            key = re.sub(r'^module\.', '', key)
            if any(re.match(pattern, key) for pattern in self.dead):
                dead.append(key)
                continue
            for pattern, target in self.renames:
                new, hits = re.subn('^' + pattern, target, key)
                if hits:
                    converted[new] = value
                    break
            else:
                unknown.append(key)
        if unknown:
            raise KeyError(
                f'{len(unknown)} of {len(state)} keys fit no rule, first '
                f'{unknown[:5]}: a checkpoint of another model?')
        return converted, dead


def _deep_stem(prefix: str, target: str) -> Tuple[Tuple[str, str], ...]:
    """The three-convolution stem in mmsegmentation's names."""
    names = ('conv1', 'bn1', 'conv2', 'bn2', 'conv3', 'bn3')
    places = (0, 1, 3, 4, 6, 7)
    stem = tuple((rf'{prefix}\.{name}\.', f'{target}.stem.{place}.')
                 for name, place in zip(names, places))
    return stem + ((rf'{prefix}\.', f'{target}.'), )


def _fusion(suffix: str, target: str) -> Tuple[Tuple[str, str], ...]:
    return (
        (rf'convs{suffix}\.(\d)\.0\.', rf'{target}.lateral_convs.\1.conv.'),
        (rf'convs{suffix}\.(\d)\.1\.', rf'{target}.lateral_convs.\1.bn.'),
        (rf'fusion_conv{suffix}\.0\.', f'{target}.fusion_conv.conv.'),
        (rf'fusion_conv{suffix}\.1\.', f'{target}.fusion_conv.bn.'))


def _gold_head(branch: str, classifier: str,
               target: str) -> Tuple[Tuple[str, str], ...]:
    return ((rf'{branch}_diff_module\.', f'{target}.gate.'),
            (rf'{branch}_fusion\.0\.', f'{target}.fusion.conv.'),
            (rf'{branch}_fusion\.1\.', f'{target}.fusion.bn.'),
            (rf'{classifier}\.3\.', f'{target}.conv_seg.'),
            (rf'{classifier}\.([01])\.', rf'{target}.cls.\1.'))


_GOLD_ENCODERS = (
    *_deep_stem('encoder_opt', 'backbone'),
    *_deep_stem('encoder_sar', 'backbone_to'), *_fusion('1', 'neck'),
    *_fusion('2', 'neck_to'))

RULES = {
    'gold':
    KeyRules(
        renames=(
            *_GOLD_ENCODERS,
            (r'bidirectional_attention\.shared_mlp\.',
             'interaction.modality_mlp.'),
            (r'bidirectional_attention\.specific_mlp\.',
             'interaction.common_mlp.'),
            *_gold_head('student', 'conv_seg', 'decode_head'),
            *_gold_head('teacher', 'conv_seg_teacher', 'teacher_head'),
            (r'log_vars_(\w+)', r'loss_weighting.\1')),
        dead=(r'(student|teacher)_discriminator\.', )),
    'gold-two-branch':
    KeyRules(
        renames=(
            *_GOLD_ENCODERS,
            (r'student_discriminator\.fc1\.', 'decode_head.mix.layers.0.'),
            (r'student_discriminator\.pe_conv\.',
             'decode_head.mix.layers.1.'),
            (r'student_discriminator\.fc2\.', 'decode_head.mix.layers.4.'),
            (r'conv_seg\.', 'decode_head.conv_seg.')),
        dead=(r'atten\.', )),
}
