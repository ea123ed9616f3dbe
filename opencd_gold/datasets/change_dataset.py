"""Co-registered images of one place and the map of what changed.

Two or more folders (or the columns of a list file) hold the images, one more
the labels; a sample is the files of one stem. The whole set is looked
through once, when it is built, so that whatever is wrong with it is said
before training and not in the middle of it.
"""
import os
import os.path as osp
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

import mmengine.fileio as fileio
import numpy as np
import torch
from mmengine.logging import print_log
from mmseg.datasets import BaseSegDataset

from opencd_gold.registry import DATASETS

from .reading import (
    IMAGE_SUFFIXES,
    DatasetError,
    find_range,
    label_values,
    ranges_in_words,
    read_header,
    read_label,
)
from .samplers import Draw

_SHOWN = 5
_FROM, _TO, _GUIDE = 'img_path_from', 'img_path_to', 'img_path_guide'
_LABEL = 'seg_map_path'
Suffix = Union[str, Sequence[Optional[str]], None]


class _Problems:
    """What is wrong with a set, by kind."""

    def __init__(self):
        self.found: Dict[str, List[str]] = {}

    def add(self, kind: str, text: str) -> None:
        self.found.setdefault(kind, []).append(text)

    def raise_any(self, where: str) -> None:
        if not self.found:
            return
        total = sum(map(len, self.found.values()))
        lines = [f'{where}: {total} problem{"s" if total > 1 else ""} found']
        for kind, texts in self.found.items():
            lines.append(f'{kind} ({len(texts)}):')
            lines += [f'  {text}' for text in texts[:_SHOWN]]
            if len(texts) > _SHOWN:
                lines.append(f'  and {len(texts) - _SHOWN} more')
        raise DatasetError('\n'.join(lines))


@contextmanager
def seeded(seed: int):
    """Seed ``random``, numpy and torch (CPU), and restore them afterwards.

    Args:
        seed (int): ``0 .. 2**32 - 1``.
    """
    states = random.getstate(), np.random.get_state()
    torch_state = torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    # torch.manual_seed would reseed CUDA as well, under a running model.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(torch_state)


@DATASETS.register_module()
class ChangeDataset(BaseSegDataset):
    """Images of two dates, a guide where there is one, and a change label.

    ``data_prefix`` names the folders: ``img_path_from``, ``img_path_to``,
    optionally ``img_path_guide`` (another image of the second date, for
    training) and further ``img_path_*`` keys, and ``seg_map_path``. Folders
    are searched with their subfolders; files belong together when they agree
    in stem, the relative path without suffix.

    With ``ann_file``, each line is a stem (a suffix after it is ignored), or
    the files of one sample in the order of the folders, label last, each
    relative to its folder and separated by tab, comma or blanks.

    The dictionary that a pipeline gets holds ``img_path`` (list of str),
    ``sensors`` (list of str), ``seg_map_path`` (where there are labels), and
    how to read the labels.

    Args:
        ann_file (str): List of the samples. Default: ``''``, all files.
        img_suffix (str | Sequence[str | None], optional): Suffix of all
            images, or one for each image. Default: None, any of png, jpg,
            jpeg, bmp, tif, tiff, vrt, img, jp2.
        seg_map_suffix (str, optional): Suffix of the labels. Default: None,
            as above.
        metainfo (dict, optional): ``classes`` and ``palette``. Default: None,
            unchanged (black) and changed (white).
        data_root (str, optional): Root of ``data_prefix`` and ``ann_file``.
        data_prefix (dict): The folders, see above.
        sensors (Sequence[str], optional): ``'optical'`` or ``'sar'`` for
            each image. Default: None, all optical.
        ignore_255 (bool): Whether labels are 0, 1 and 255 = ignore. Default:
            False, then they are 0 and 1, or 0 and 255, the same for the
            whole set.
        label_threshold (int, optional): Labels from this value up are change,
            others are not. For labels that were compressed with loss.
            Default: None.
        format_seg_map (str, optional): Open-CD's key; ``'to_binary'`` is
            what happens anyway. Default: ``'to_binary'``.
        check (bool): Whether to look through the set when it is built: sizes
            and bands of all images, values of all labels. Matching of the
            files is always checked. Default: True.
        filter_cfg, indices, serialize_data, pipeline, test_mode, lazy_init,
            max_refetch, ignore_index, reduce_zero_label, backend_args: As in
            :class:`mmseg.datasets.BaseSegDataset`. With ``test_mode`` the
            folder of the guide may be absent; the samples then have two
            images.

    Raises:
        DatasetError: Naming the first files that are wrong and how many
            there are.
    """

    METAINFO = dict(
        classes=('unchanged', 'changed'), palette=[[0, 0, 0], [255, 255, 255]])
    IMG_SUFFIX: Suffix = None
    SEG_MAP_SUFFIX: Optional[str] = None
    SENSORS: Optional[Tuple[str, ...]] = None

    def __init__(self,
                 ann_file: str = '',
                 img_suffix: Suffix = None,
                 seg_map_suffix: Optional[str] = None,
                 metainfo: Optional[dict] = None,
                 data_root: Optional[str] = None,
                 data_prefix: Optional[dict] = None,
                 sensors: Optional[Sequence[str]] = None,
                 ignore_255: bool = False,
                 label_threshold: Optional[int] = None,
                 format_seg_map: Optional[str] = 'to_binary',
                 check: bool = True,
                 filter_cfg: Optional[dict] = None,
                 indices: Optional[Union[int, Sequence[int]]] = None,
                 serialize_data: bool = True,
                 pipeline: Sequence[Union[dict, Callable]] = (),
                 test_mode: bool = False,
                 lazy_init: bool = False,
                 max_refetch: int = 1000,
                 ignore_index: int = 255,
                 reduce_zero_label: bool = False,
                 backend_args: Optional[dict] = None) -> None:
        if format_seg_map not in (None, 'to_binary'):
            raise ValueError("format_seg_map must be None or 'to_binary', "
                             f'found {format_seg_map!r}')
        if reduce_zero_label:
            raise ValueError('reduce_zero_label=True would ignore what did '
                             'not change, expected False')
        data_prefix = dict(data_prefix or {})
        self.image_keys = self._image_keys(data_prefix)
        self.sensors = self._check_sensors(
            self.SENSORS if sensors is None else sensors)
        self.ignore_255 = ignore_255
        self.label_threshold = label_threshold
        self.format_seg_map = format_seg_map
        self.check = check
        super().__init__(
            ann_file=ann_file,
            img_suffix=self.IMG_SUFFIX if img_suffix is None else img_suffix,
            seg_map_suffix=(self.SEG_MAP_SUFFIX
                            if seg_map_suffix is None else seg_map_suffix),
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=data_prefix,
            filter_cfg=filter_cfg,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
            ignore_index=ignore_index,
            reduce_zero_label=reduce_zero_label,
            backend_args=backend_args)

    @classmethod
    def get_label_map(cls, new_classes=None) -> None:
        """Names of classes may be changed; the two values stay."""
        if new_classes is not None and len(new_classes) != 2:
            raise ValueError(
                'change labels are binary: metainfo needs 2 classes, found '
                f'{len(new_classes)}: {tuple(new_classes)}')

    @staticmethod
    def _image_keys(data_prefix: dict) -> List[str]:
        """Keys of the images: from, to, guide, then any others."""
        others = [
            key for key in data_prefix
            if key not in (_FROM, _TO, _GUIDE, _LABEL)
        ]
        unknown = [key for key in others if not key.startswith('img_path_')]
        lacking = [key for key in (_FROM, _TO) if key not in data_prefix]
        if unknown or lacking:
            raise ValueError(
                f'data_prefix needs the keys {_FROM} and {_TO} and may have '
                f'{_GUIDE} and {_LABEL}; found {sorted(data_prefix)}')
        guide = [_GUIDE] if _GUIDE in data_prefix else []
        return [_FROM, _TO, *guide, *others]

    def _check_sensors(self, sensors) -> Tuple[str, ...]:
        """One known sensor for each image, the surplus cut off."""
        count = len(self.image_keys)
        if sensors is None:
            return ('optical', ) * count
        wrong = [name for name in sensors if name not in ('optical', 'sar')]
        if wrong or isinstance(sensors, str) or len(sensors) < count:
            raise ValueError(
                f"sensors must name 'optical' or 'sar' for each of the "
                f'{count} images {self.image_keys}, found {sensors!r}')
        return tuple(sensors[:count])

    def _where(self) -> str:
        """Name the set in an error message."""
        return f'{type(self).__name__} {self.data_root or os.getcwd()}'

    def _suffixes(self) -> Dict[str, Optional[str]]:
        """Suffix of each folder, None for any."""
        if self.img_suffix is None or isinstance(self.img_suffix, str):
            suffixes = [self.img_suffix] * len(self.image_keys)
        else:
            suffixes = list(self.img_suffix)
            if len(suffixes) < len(self.image_keys):
                raise ValueError(
                    f'img_suffix must be one suffix or one for each of '
                    f'{self.image_keys}, found {self.img_suffix!r}')
        by_key = dict(zip(self.image_keys, suffixes))
        if _LABEL in self.data_prefix:
            by_key[_LABEL] = self.seg_map_suffix
        return by_key

    @staticmethod
    def _stem(name: str, suffix: Optional[str]) -> Optional[str]:
        """Name without suffix, or None if the file is none of the set."""
        if osp.basename(name).startswith('.'):
            return None
        for ending in (suffix, ) if suffix else IMAGE_SUFFIXES:
            if name.lower().endswith(ending.lower()):
                return name[:-len(ending)]
        return None

    def _folder_error(self, key: str) -> str:
        """Say that a folder is missing, and what may be meant instead."""
        folder = self.data_prefix[key].rstrip('/')
        text = f"{key}='{folder}': no such folder"
        parent, name = osp.split(folder)
        if osp.isdir(parent or '.'):
            alike = [
                entry for entry in sorted(os.listdir(parent or '.'))
                if entry.lower() == name.lower()
            ]
            if alike:
                return f"{text}, but there is '{osp.join(parent, alike[0])}'"
        return text

    def _list_folders(self, problems: _Problems
                      ) -> Dict[str, Dict[str, str]]:
        """Files of every folder: ``{key: {stem: path}}``."""
        files: Dict[str, Dict[str, str]] = {}
        for key, suffix in self._suffixes().items():
            folder = self.data_prefix[key]
            if not fileio.isdir(folder, backend_args=self.backend_args):
                problems.add('missing folders', self._folder_error(key))
                continue
            found = files[key] = {}
            for name in sorted(
                    fileio.list_dir_or_file(
                        folder,
                        list_dir=False,
                        recursive=True,
                        backend_args=self.backend_args)):
                stem = self._stem(name, suffix)
                if stem is None:
                    continue
                path = osp.join(folder, name)
                if stem in found:
                    problems.add(
                        'two files of one stem',
                        f'{found[stem]} and {path}: expected one; choose '
                        'with img_suffix or seg_map_suffix')
                found[stem] = path
            if not found:
                problems.add(
                    'empty folders', f"{key}='{folder}' has no file with "
                    f'suffix {suffix or ", ".join(IMAGE_SUFFIXES)}')
        return files

    def _drop_absent_guides(self) -> None:
        """At test time, do without folders beyond the two dates."""
        for key in self.image_keys[2:]:
            folder = self.data_prefix[key]
            if not self.test_mode or fileio.isdir(
                    folder, backend_args=self.backend_args):
                continue
            print_log(
                f'{self._where()}: no folder {folder}, testing goes on '
                f'without {key}', 'current')
            place = self.image_keys.index(key)
            self.image_keys.remove(key)
            self.sensors = (
                self.sensors[:place] + self.sensors[place + 1:])
            del self.data_prefix[key]

    def _read_list(self) -> List[List[str]]:
        """Columns of every line of ``ann_file``."""
        if not fileio.isfile(self.ann_file, backend_args=self.backend_args):
            raise DatasetError(f"ann_file='{self.ann_file}': no such file")
        text = fileio.get_text(self.ann_file, backend_args=self.backend_args)
        counts = (len(self.image_keys) + 1, len(self.image_keys))
        rows = []
        for line in filter(None, map(str.strip, text.splitlines())):
            columns = line.replace(',', '\t').split('\t')
            if len(columns) == 1 and len(line.split()) in counts:
                columns = line.split()
            rows.append([column.strip() for column in columns])
        if not rows:
            raise DatasetError(f"ann_file='{self.ann_file}' has no line")
        return rows

    def _list_samples(self, problems: _Problems) -> List[Dict[str, str]]:
        """Paths of every sample by key."""
        keys = list(self._suffixes())
        rows = self._read_list() if self.ann_file else None
        samples = []
        if rows and len(rows[0]) > 1:
            for number, row in enumerate(rows, 1):
                if len(row) != len(keys):
                    problems.add(
                        'wrong lines of ann_file',
                        f'{self.ann_file}:{number} has {len(row)} columns, '
                        f'expected {len(keys)}: {", ".join(keys)}')
                    continue
                sample = {
                    key: osp.join(self.data_prefix[key], name)
                    for key, name in zip(keys, row)
                }
                for path in sample.values():
                    if not fileio.isfile(
                            path, backend_args=self.backend_args):
                        problems.add('missing files',
                                     f'{path} ({self.ann_file}:{number})')
                samples.append(sample)
            return samples
        files = self._list_folders(problems)
        problems.raise_any(self._where())
        if rows:
            stems = [self._stem(row[0], None) or row[0] for row in rows]
        else:
            stems = sorted(set().union(*files.values()))
        for stem in stems:
            absent = [key for key in keys if stem not in files[key]]
            for key in absent:
                problems.add(
                    'missing partners',
                    f"'{stem}' is missing in {key}='{self.data_prefix[key]}'")
            if not absent:
                samples.append({key: files[key][stem] for key in keys})
        return samples

    def load_data_list(self) -> List[dict]:
        """Match the files of all samples.

        Returns:
            list[dict]: A dictionary for each sample, sorted by stem or in
            the order of ``ann_file``.

        Raises:
            DatasetError: If folders or files are missing or ambiguous.
        """
        self._drop_absent_guides()
        problems = _Problems()
        samples = self._list_samples(problems)
        problems.raise_any(self._where())
        data_list = []
        for sample in samples:
            info = dict(
                img_path=[sample[key] for key in self.image_keys],
                sensors=list(self.sensors),
                test_mode=self.test_mode,
                label_map=None,
                label_values=(0, 1, 255) if self.ignore_255 else None,
                label_threshold=self.label_threshold,
                reduce_zero_label=False,
                seg_fields=[])
            if _LABEL in sample:
                info['seg_map_path'] = sample[_LABEL]
            data_list.append(info)
        return data_list

    def full_init(self) -> None:
        """List, check and pack the samples; does nothing the second time.

        Raises:
            DatasetError: If the set is not in order.
        """
        if self._fully_initialized:
            return
        self.data_list = self._chosen_samples()
        for transform in self.pipeline.transforms:
            if hasattr(transform, 'check_set'):
                transform.check_set(self.data_list[0])
        if self.check:
            if self.backend_args is None:
                self._check_files()
            else:
                print_log(
                    f'{self._where()}: sizes and labels are not checked '
                    'on a remote file system', 'current')
        for transform in self.pipeline.transforms:
            if getattr(transform, 'cache', False):
                transform.preload(self.data_list)
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True

    def _chosen_samples(self) -> List[dict]:
        """Load the list, filter it, and take the part ``indices`` names."""
        self.data_list = self.load_data_list()
        self.data_list = self.filter_data()
        if self._indices is not None:
            self.data_list = self._get_unserialized_subset(self._indices)
        if not self.data_list:
            raise DatasetError(f'{self._where()}: no sample is left '
                               f'(indices={self._indices})')
        return self.data_list

    def _expected_bands(self) -> Optional[list]:
        """Band counts that the pipeline asks for, None for unknown ones."""
        count = len(self.image_keys)
        for transform in self.pipeline.transforms:
            if getattr(transform, 'color_type', 'unchanged') != 'unchanged':
                return None
            channels = getattr(transform, 'channels', None)
            if channels is not None:
                return list(channels[:count])
        return [None] * count

    @staticmethod
    def _examine(info: dict):
        """Read the heads of the images and the values of the label."""
        headers, errors, label = [], [], None
        for path in info['img_path']:
            try:
                headers.append(read_header(path))
            except DatasetError as error:
                headers.append(None)
                errors.append(str(error))
        if 'seg_map_path' in info:
            try:
                raw = read_label(info['seg_map_path'])
                label = raw.shape, label_values(raw)
            except DatasetError as error:
                errors.append(str(error))
        return headers, label, errors

    def _check_files(self) -> None:
        """Look through all files: readable, of one size, with right values.

        Raises:
            DatasetError: With everything that is wrong.
        """
        problems = _Problems()
        expected = self._expected_bands()
        seen = set()
        labels = []
        with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
            examined = list(pool.map(self._examine, self.data_list))
        for info, (headers, label, errors) in zip(self.data_list, examined):
            for error in errors:
                problems.add('unreadable files', error)
            sizes = {}
            for place, (path, header) in enumerate(
                    zip(info['img_path'], headers)):
                if header is None:
                    continue
                sizes[path] = header[:2]
                if expected is None:
                    continue
                if expected[place] is None:
                    expected[place] = header.bands
                if header.bands != expected[place]:
                    problems.add(
                        'wrong number of bands',
                        f'{path} has {header.bands}, expected '
                        f'{expected[place]}')
            if label is not None:
                sizes[info['seg_map_path']] = label[0]
                seen |= set(label[1])
                labels.append((info['seg_map_path'], label[1]))
            if len(set(sizes.values())) > 1:
                problems.add(
                    'sizes that differ', ', '.join(
                        f'{path} {height} x {width}'
                        for path, (height, width) in sizes.items()) +
                    ': expected one size (height x width)')
        if self.label_threshold is None:
            self._check_values(problems, labels, seen)
        problems.raise_any(self._where())

    def _check_values(self, problems: _Problems, labels, seen) -> None:
        """Find which values the labels of the whole set use."""
        found = find_range(seen, self.ignore_255)
        expected = ranges_in_words(self.ignore_255)
        kind = 'wrong label values'
        if not self.ignore_255 and seen <= {0, 1, 255}:
            kind += '; if 255 means ignore, say ignore_255=True'
        if found is None:
            wrong = [(path, values) for path, values in labels
                     if find_range(values, self.ignore_255) is None]
            for path, values in wrong:
                shown = ', '.join(map(str, values[:8]))
                more = ', ...' if len(values) > 8 else ''
                problems.add(
                    kind, f'{path} has {{{shown}{more}}}, expected '
                    f'{expected}')
            if not wrong:
                ones = [path for path, values in labels if 1 in values]
                full = [path for path, values in labels if 255 in values]
                problems.add(
                    kind,
                    f'labels with 1 for change: {len(ones)} (first: '
                    f'{ones[0]}), with 255: {len(full)} (first: {full[0]}); '
                    f'expected {expected} for the whole set')
            return
        for info in self.data_list:
            info['label_values'] = found

    def __getitem__(self, idx: int) -> dict:
        """Give one sample through the pipeline.

        Args:
            idx (int | Draw): Which sample; a draw also fixes all random
                numbers of the pipeline, retries included.

        Returns:
            dict: What the pipeline gives.
        """
        if not isinstance(idx, Draw):
            return super().__getitem__(idx)
        with seeded(idx.seed):
            return super().__getitem__(int(idx))
