"""From the authors' checkpoints to this package's names.

A system has one :class:`KeyRules`: which of its keys become which, and which
are dead, i.e. never used by the authors' own forward pass. What was converted
is compared with a network before it is written, see :func:`check_complete`.
"""
import logging
import re
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import init_default_scope
from torch import Tensor

from opencd_gold.building import without_downloads
from opencd_gold.registry import MODELS

from .loading import CONFIGS


@dataclass(frozen=True)
class KeyRules:
    """How the keys of one system are renamed.

    Attributes:
        renames (tuple[tuple[str, str], ...]): Regular expression at the start
            of a key, and what replaces it; the first that matches wins. New
            keys that end in ``[0]``, ``[1]`` and so on are parts of one
            tensor, concatenated on their first axis.
        dead (tuple[str, ...]): Regular expressions, at the start, of keys
            that the authors' network holds and never uses.
        as_conv (tuple[str, ...]): Regular expressions, at the start, of new
            keys whose matrices become kernels of 1x1 convolutions.
        references (tuple[str, ...]): Configs below ``configs/`` of the
            networks that the authors published.
        part (str): Which part of the network the checkpoint is of. Default:
            ``''``, all of it.
    """

    renames: Tuple[Tuple[str, str], ...]
    dead: Tuple[str, ...] = ()
    as_conv: Tuple[str, ...] = ()
    references: Tuple[str, ...] = ()
    part: str = ''

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
            KeyError: Naming keys that fit no rule, or tensors of which a part
                is missing, i.e. a checkpoint of another model.
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
        converted = _join_parts(converted)
        for key, value in converted.items():
            if value is not None and value.ndim == 2 and any(
                    re.match(pattern, key) for pattern in self.as_conv):
                converted[key] = value[..., None, None]
        return converted, dead


def _join_parts(state: 'OrderedDict[str, Tensor]'
                ) -> 'OrderedDict[str, Tensor]':
    """Concatenate ``key[0]``, ``key[1]`` ... to ``key``."""
    joined, parts = OrderedDict(), {}
    for key, value in state.items():
        found = re.fullmatch(r'(.+)\[(\d)\]', key)
        if found is None:
            joined[key] = value
            continue
        name, index = found[1], int(found[2])
        joined[name] = None
        parts.setdefault(name, {})[index] = value
    sizes = {len(found) for found in parts.values()}
    for name, found in parts.items():
        order = range(max(sizes))
        if sorted(found) != list(order):
            raise KeyError(f'{name}: expected {len(order)} parts, found only '
                           f'{sorted(found)}: a damaged checkpoint?')
        joined[name] = torch.cat([found[index] for index in order])
    return joined


def check_complete(system: str,
                   state: Dict[str, Tensor],
                   config: Optional[Path] = None) -> None:
    """Compare a converted checkpoint with a network, and log the result.

    It must load strictly into that of ``config``. Without one, the most
    alike of the networks that the authors published decides by names: a
    checkpoint that has a part of its tensors and no others is incomplete.
    One that has others is of another network, of which nothing is known
    here; a warning says so.

    Args:
        system (str): Key of ``RULES``.
        state (dict[str, Tensor]): What :meth:`KeyRules.convert` gave.
        config (Path, optional): Of the network that the checkpoint is of.
            Default: None.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: Naming how many tensors are missing, and the first; with
            ``config``, also those that are of no use or of another shape.
    """
    rules = RULES[system]
    paths = [CONFIGS / name for name in rules.references]
    differences, count, path = min(
        ((*_differences(path, rules.part, state), path)
         for path in ([config] if config is not None else paths)),
        key=lambda each: len(each[0]['missing']) + len(each[0]['unknown']))
    said = '; '.join(f'{len(keys)} {what}, first {keys[:3]}'
                     for what, keys in differences.items() if keys)
    against = f'{len(state)} tensors, {path.name} has {count}'
    if config is not None and said:
        raise ValueError(f'does not load strictly: {against}; {said}')
    if differences['missing'] and not differences['unknown']:
        raise ValueError(
            f'an incomplete checkpoint: {against}; {said}. If it is whole, '
            'and of another network, name the config of that by --config')
    if differences['unknown']:
        print_log(
            f'of another network: {against}; {said}. Whether the checkpoint '
            'is complete was not checked; --config, with the config of its '
            'network, does that', 'current', logging.WARNING)
    else:
        print_log(f'complete: {against}' + (said and f'; {said}'), 'current')


def _differences(path: Path, part: str,
                 state: Dict[str, Tensor]) -> Tuple[Dict[str, List[str]], int]:
    """How a checkpoint differs from the network of a config.

    Args:
        path (Path): The config.
        part (str): Attribute of the network, or ``''`` for all of it.
        state (dict[str, Tensor]): The checkpoint.

    Returns:
        tuple[dict[str, list[str]], int]: Names that are ``missing``,
        ``unknown`` or ``of another shape``, and how many tensors the network
        has. Those that it can do without are not missing.
    """
    config = Config.fromfile(path)
    init_default_scope(config.get('default_scope', 'opencd_gold'))
    model = MODELS.build(without_downloads(config.model))
    model = getattr(model, part) if part else model
    own = dict(model.state_dict())
    for name, teacher in getattr(model, 'teachers', {}).items():
        own.update((f'teachers.{name}.{key}', value)
                   for key, value in teacher.state_dict().items())
    found = model.load_state_dict(
        {key: own.get(key, value) for key, value in state.items()},
        strict=False)
    differences = {
        'missing': found.missing_keys,
        'unknown': found.unexpected_keys,
        'of another shape': [
            key for key, value in state.items()
            if key in own and own[key].shape != value.shape
        ]
    }
    return differences, len(own)


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


def _mix_transformer(prefix: str,
                     target: str) -> Tuple[Tuple[str, str], ...]:
    """SegFormer's own names of a MiT to mmsegmentation's.

    Stages are counted from 1 there and from 0 here; query and key-value
    matrices become one.
    """
    rules = []
    for stage in range(4):
        block = rf'{prefix}\.block{stage + 1}\.(\d+)'
        layer = rf'{target}.layers.{stage}'
        rules += [
            (rf'{prefix}\.patch_embed{stage + 1}\.proj\.',
             f'{layer}.0.projection.'),
            (rf'{prefix}\.patch_embed{stage + 1}\.norm\.',
             f'{layer}.0.norm.'),
            (rf'{block}\.(norm[12])\.', rf'{layer}.1.\1.\2.'),
            (rf'{block}\.attn\.q\.(\w+)$',
             rf'{layer}.1.\1.attn.attn.in_proj_\2[0]'),
            (rf'{block}\.attn\.kv\.(\w+)$',
             rf'{layer}.1.\1.attn.attn.in_proj_\2[1]'),
            (rf'{block}\.attn\.proj\.', rf'{layer}.1.\1.attn.attn.out_proj.'),
            (rf'{block}\.attn\.(sr|norm)\.', rf'{layer}.1.\1.attn.\2.'),
            (rf'{block}\.mlp\.fc1\.', rf'{layer}.1.\1.ffn.layers.0.'),
            (rf'{block}\.mlp\.dwconv\.dwconv\.',
             rf'{layer}.1.\1.ffn.layers.1.'),
            (rf'{block}\.mlp\.fc2\.', rf'{layer}.1.\1.ffn.layers.4.'),
            (rf'{prefix}\.norm{stage + 1}\.', f'{layer}.2.'),
        ]
    return tuple(rules)


def _hetecd_head(prefix: str, target: str) -> Tuple[Tuple[str, str], ...]:
    """HeteCD's decoder."""
    rules = []
    for stage in range(4):
        block = rf'{prefix}\.cross_fuse_c{stage + 1}'
        diff = f'{target}.diffs.{stage}'
        rules += [
            (rf'{prefix}\.linear_c{stage + 1}\.proj\.',
             f'{target}.embeds.{stage}.'),
            *((rf'{block}\.conv3d{size + 1}\.0\.', f'{diff}.conv3d.{size}.')
              for size in range(3)),
            (rf'{block}\.temporal_attention\.time_attention\.',
             f'{diff}.temporal.'),
            (rf'{block}\.spatial_attention\.spatial_attention\.',
             f'{diff}.spatial.'),
            (rf'{block}\.fuse_conv\.0\.', f'{diff}.fuse.conv.'),
            (rf'{block}\.fuse_conv\.2\.', f'{diff}.fuse.bn.'),
            (rf'{block}\.fuse_conv1\.0\.', f'{diff}.reduce.conv.'),
            (rf'{block}\.fuse_conv1\.2\.', f'{diff}.reduce.bn.'),
        ]
    return (
        *rules,
        (rf'{prefix}\.linear_fuse_bcd\.0\.', f'{target}.fusion.conv.'),
        (rf'{prefix}\.linear_fuse_bcd\.1\.', f'{target}.fusion.bn.'),
        (rf'{prefix}\.dense_2x\.0\.(conv[12])\.conv2d\.',
         rf'{target}.refine.0.\1.'),
        (rf'{prefix}\.dense_1x\.0\.(conv[12])\.conv2d\.',
         rf'{target}.refine.1.\1.'),
        (rf'{prefix}\.make_pred_bcd\.0\.', f'{target}.pred.conv.'),
        (rf'{prefix}\.make_pred_bcd\.2\.', f'{target}.pred.bn.'),
        (rf'{prefix}\.make_pred_bcd\.3\.', f'{target}.conv_seg.'))


def _changer(target: str = '') -> Tuple[Tuple[str, str], ...]:
    """Open-CD's Changer; ``target`` goes before every new key."""
    head = r'decode_head\.'
    return (
        (rf'{head}convs\.', f'{target}neck.lateral_convs.'),
        (rf'{head}fusion_conv\.', f'{target}neck.fusion_conv.'),
        (rf'{head}neck_layer\.flow_make\.', f'{target}interaction.flow.'),
        (rf'{head}discriminator\.', f'{target}decode_head.mix.'),
        (rf'({head}conv_seg\.)', rf'{target}\1'),
        (r'(backbone\.)', rf'{target}\1'))


def _mtkd() -> Tuple[Tuple[str, str], ...]:
    """A Changer student, its keys without prefix, and its teachers."""
    teachers = tuple((rf'teacher_{name}\.' + key, new) for name in 'sml'
                     for key, new in _changer(f'teachers.{name}.'))
    return teachers + _changer()


def _conv_norm(source: str, target: str,
               *names: str) -> Tuple[Tuple[str, str], ...]:
    """Convolution and norm by number to those of a ``ConvModule``."""
    numbers = names or ('0', '1')
    return tuple((rf'{source}\.{number}\.', f'{target}.{name}.')
                 for number, name in zip(numbers, ('conv', 'bn')))


def _sgsln() -> Tuple[Tuple[str, str], ...]:
    rules = list(
        _conv_norm(r'en_block1\.0\.conv_bn_relu', 'backbone.stages.0.0'))
    for unit in '12':
        rules += _conv_norm(rf'en_block1\.{unit}\.conv1',
                            f'backbone.stages.0.{unit}.conv')
    for index in range(2, 6):
        block, stage = f'en_block{index}', f'backbone.stages.{index - 1}'
        rules += _conv_norm(rf'{block}\.conv1\.0\.conv1',
                            f'{stage}.down.conv')
        for unit in (1, 2):
            rules += _conv_norm(rf'{block}\.conv1\.{unit}\.conv1',
                                f'{stage}.units.{unit - 1}.conv')
        rules += _conv_norm(rf'{block}\.conv3\.conv_bn_relu',
                            f'{stage}.merge')
        rules.append((rf'{block}\.cbam\.', f'{stage}.attention.'))
    head = 'decode_head'
    for place in range(3):
        rules += _conv_norm(rf'de_block{3 - place}\.fuse',
                            f'neck.blocks.{place}.fuse')
        rules += _conv_norm(rf'change_block{place + 2}\.fuse',
                            f'{head}.decoder.blocks.{place}.fuse')
    rules += [(rf'dpfa{4 - place}\.', f'{head}.fusion.{place}.')
              for place in range(4)]
    rules += [(r'seg_out1\.', f'{head}.aux_seg.0.'),
              (r'seg_out2\.', f'{head}.aux_seg.1.'),
              *_conv_norm('upsample_x2', f'{head}.refine.0'),
              *_conv_norm('upsample_x2', f'{head}.refine.1', '3', '4'),
              (r'conv_out_change\.', f'{head}.conv_seg.')]
    return tuple(rules)


def _ffm(source: str, target: str) -> Tuple[Tuple[str, str], ...]:
    return (*_conv_norm(rf'{source}\.low_level_context',
                        f'{target}.lateral'),
            *_conv_norm(rf'{source}\.fusion_conv', f'{target}.fuse'))


def _mask_head(source: str, conv: str,
               cls: str) -> Tuple[Tuple[str, str], ...]:
    source = rf'{source}\.mask_generation'
    return (*_conv_norm(source, conv), (rf'{source}\.3\.', f'{cls}.'))


def _timm_resnet_d(source: str, target: str) -> Tuple[Tuple[str, str], ...]:
    """Timm's ResNet-D to mmsegmentation's ResNetV1d, three convolutions."""
    return ((source + r'conv1\.', f'{target}stem.'),
            (source + r'bn1\.', f'{target}stem.7.'),
            (source + r'layer', f'{target}layer'))


def _hrmnet() -> Tuple[Tuple[str, str], ...]:
    rules = [*_timm_resnet_d(r'encoder\.context_encoder\.', 'backbone.'),
             *_conv_norm(r'encoder\.context_p5\.fusion_conv',
                         'neck.ppm.fuse')]
    rules += [rule for scale in range(4) for rule in _conv_norm(
        rf'encoder\.context_p5\.pool_scale_{scale + 1}',
        f'neck.ppm.pools.{scale}.1', '1', '2')]
    for place in range(3):
        rules += _conv_norm(rf'encoder\.channel_reduction_c{place + 2}',
                            f'neck.reduce.{place}')
        rules += _ffm(rf'encoder\.context_p{place + 2}',
                      f'neck.ffm.{place}')
    head = 'decode_head'
    branch, decoder = 'b_decoder', 'kr_decoder'
    rules += [
        *_conv_norm(rf'{branch}\.feature_texture', f'{head}.texture.0'),
        *_conv_norm(rf'{branch}\.feature_texture', f'{head}.texture.1', '3',
                    '4'),
        *_ffm(rf'{branch}\.fam', f'{head}.hard_ffm'),
        *_mask_head(rf'{branch}\.boundary_generation',
                    f'{head}.hard_head.conv', f'{head}.hard_head.cls'),
        *_conv_norm(rf'{decoder}\.fusion_conv', f'{head}.fuse'),
        *_mask_head(rf'{decoder}\.mask_generation', f'{head}.final_conv',
                    f'{head}.conv_seg')]
    for place in range(4):
        side = f'{head}.side_heads.{place}'
        rules += _mask_head(rf'{decoder}\.mask_generation_d{place + 2}',
                            f'{side}.conv', f'{side}.cls')
    for place in range(3):
        source = rf'{decoder}\.krm_d{place + 3}'
        target = f'{head}.review.{place}'
        rules += _conv_norm(rf'{source}\.fusion_conv', f'{target}.fuse')
        for unit in range(3):
            feu = rf'{source}\.feu_{unit + 1}'
            new = f'{target}.feu.{unit}'
            rules += [
                *_conv_norm(rf'{feu}\.feature_transition',
                            f'{new}.transition'),
                *_conv_norm(rf'{feu}\.feature_context', f'{new}.context'),
                (rf'{feu}\.channel_attention\.0\.', f'{new}.fc1.'),
                (rf'{feu}\.channel_attention\.2\.', f'{new}.fc2.')]
    return tuple(rules)


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
        dead=(r'(student|teacher)_discriminator\.', ),
        references=('gold/gold_reference.py', )),
    'gold-two-branch':
    KeyRules(
        renames=(
            *_GOLD_ENCODERS,
            (r'student_discriminator\.fc1\.', 'decode_head.mix.layers.0.'),
            (r'student_discriminator\.pe_conv\.',
             'decode_head.mix.layers.1.'),
            (r'student_discriminator\.fc2\.', 'decode_head.mix.layers.4.'),
            (r'conv_seg\.', 'decode_head.conv_seg.')),
        dead=(r'atten\.', ),
        references=('gold/gold_reference-two-branch.py', )),
    'hetecd':
    KeyRules(
        renames=(
            *_mix_transformer('backbone1', 'backbone'),
            *_mix_transformer('backbone2', 'backbone_to'),
            *_hetecd_head('CD_Decoder', 'decode_head')),
        dead=(r'vae[12]\.',
              r'CD_Decoder\.(sce|linear_fuse|convd2x|convd1x)\.',
              r'CD_Decoder\.(change_probability|dense_[12]x_bcd)\.'),
        as_conv=(r'backbone(_to)?\.layers\.\d\.1\.\d+\.ffn\.',
                 r'decode_head\.embeds\.'),
        references=('hetecd/hetecd_reference.py', )),
    'changer':
    KeyRules(
        renames=_changer(),
        references=('changer/changer-mit-b0_reference.py',
                    'changer/changer-r18_reference.py')),
    'mtkd':
    KeyRules(
        renames=_mtkd(),
        references=('mtkd/mtkd-changer-mit-b0_reference.py', )),
    'sgsln':
    KeyRules(renames=_sgsln(), references=('sgsln/sgsln_reference.py', )),
    'hrmnet':
    KeyRules(renames=_hrmnet(), references=('hrmnet/hrmnet_reference.py', )),
    # ImageNet weights of timm's ResNet-D, for the backbone alone.
    'timm-resnet-d':
    KeyRules(
        renames=_timm_resnet_d('', ''),
        dead=(r'fc\.', ),
        references=('hrmnet/hrmnet_reference.py', ),
        part='backbone'),
}
