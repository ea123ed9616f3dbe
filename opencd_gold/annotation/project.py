"""What is to be annotated: pairs of images, classes, and where files go.

A data root is one of

- a folder with ``A`` and ``B``, or ``t1`` and ``t2``, and ``C`` (``t3``)
  where there is a third image; files of one pair have the same stem;
- a folder of such folders (``train``, ``val``, ``test``, or any other name);
- a folder of raw scenes, ``NAME_A.tif``, ``NAME_B.tif`` and, where there is
  one, ``NAME_D.tif``, as ``tools/dataset_converters/prepare_scenes.py``
  takes them;
- a list: a text file whose lines name two or three images, separated by
  tab, comma or blanks, relative to the folder of the list.

Annotations are in ``annotations/NAME.json`` beside.
"""
import argparse
import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from opencd_gold.datasets.converting import (
    ConversionError,
    list_images,
    match_stems,
    natural_key,
)
from opencd_gold.scenes.prepare import find_scenes

from .errors import AnnotationError, NotFound

KEYS = ('A', 'B', 'C')
SENSORS = ('optical', 'sar')
# Names of this machine for itself.
LOOPBACK = ('127.0.0.1', 'localhost', '::1')
LAYOUTS = (('A', 'B', 'C'), ('t1', 't2', 't3'))
ANNOTATIONS = 'annotations'
LISTS = ('.txt', '.csv', '.tsv', '.lst')
_RAW = '{name}_{role}.*'
_OWN = (ANNOTATIONS, 'label', 'mask')
# Okabe and Ito, told apart by color-blind readers.
_COLORS = ('#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9',
           '#f0e442')


def add_project_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``DATA_ROOT`` and ``--allow``, for :meth:`Project.open`."""
    parser.add_argument('data_root', metavar='DATA_ROOT',
                        help='folder of pairs, or a list of them')
    parser.add_argument(
        '--allow', nargs='+', default=[], metavar='FOLDER',
        help='folders outside of DATA_ROOT that links and lists may lead to')


class ClassInfo(NamedTuple):
    """A class of change.

    Attributes:
        name (str): Label of its polygons.
        color (str): ``#rrggbb``.
    """

    name: str
    color: str


def read_classes(texts: Sequence[str] = ()) -> Tuple[ClassInfo, ...]:
    """Classes from ``NAME`` or ``NAME:#rrggbb``.

    Args:
        texts (Sequence[str]): As a user gives them. Default: none, which is
            ``changed`` alone.

    Returns:
        tuple[ClassInfo]: In the order given.

    Raises:
        AnnotationError: If a name is empty or twice there, or a color is
            none.
    """
    found: List[ClassInfo] = []
    for index, text in enumerate(texts or ('changed', )):
        name, _, color = text.partition(':')
        name = name.strip()
        color = color.strip().lower() or _COLORS[index % len(_COLORS)]
        if not name or not re.fullmatch('#[0-9a-f]{6}', color):
            raise AnnotationError(f'class {text!r}: expected NAME or '
                                  'NAME:#rrggbb')
        if name in (known.name for known in found):
            raise AnnotationError(f'class {name!r} is given twice')
        found.append(ClassInfo(name, color))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Pair:
    """Images of one place.

    Attributes:
        name (str): Of the pair, with its folder where there are some.
        images (dict[str, Path]): By ``'A'``, ``'B'`` and ``'C'``.
        label (Path): Where the label map of the pair is, or would be, by
            the layout, without suffix.
    """

    name: str
    images: Dict[str, Path]
    label: Path

    @property
    def id(self) -> str:
        """Name of the pair in addresses."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Project:
    """Pairs of a data root.

    Attributes:
        root (Path): The folder, resolved.
        pairs (tuple[Pair]): In natural order, or that of the list.
        classes (tuple[ClassInfo]): Change first.
        sensors (dict[str, str], optional): ``'optical'`` or ``'sar'`` by
            image. Default: what bands let guess.
        allowed (tuple[Path]): Further folders that images may lie in.
    """

    root: Path
    pairs: Tuple[Pair, ...]
    classes: Tuple[ClassInfo, ...] = (ClassInfo('changed', _COLORS[0]), )
    sensors: Dict[str, str] = field(default_factory=dict)
    allowed: Tuple[Path, ...] = ()

    @classmethod
    def open(cls, data_root, classes: Sequence[str] = (),
             sensors: Sequence[str] = (),
             allowed: Sequence = ()) -> 'Project':
        """Look through a data root.

        Args:
            data_root (str | Path): See the module.
            classes (Sequence[str]): As of :func:`read_classes`.
            sensors (Sequence[str]): ``'optical'`` or ``'sar'`` of A, B and
                C. Default: none, guessed.
            allowed (Sequence[str | Path]): Folders beside the data root
                that links and lists may lead to. Default: none.

        Returns:
            Project: With at least one pair.

        Raises:
            AnnotationError: If there is no pair, files do not match, or an
                image lies elsewhere.
        """
        path = Path(data_root).resolve()
        wrong = [name for name in sensors if name not in SENSORS]
        if wrong or len(sensors) > len(KEYS):
            raise AnnotationError(
                f'sensors {" ".join(sensors)}: expected {" or ".join(SENSORS)}'
                ' for A, B and C')
        if path.is_file():
            root, pairs = path.parent, _from_list(path)
        elif path.is_dir():
            root, pairs = path, _from_folder(path)
        else:
            raise AnnotationError(f'{path}: no such folder or list')
        project = cls(root, tuple(pairs), read_classes(classes),
                      dict(zip(KEYS, sensors)),
                      tuple(Path(folder).resolve() for folder in allowed))
        for pair in pairs:
            for image in pair.images.values():
                project.check_inside(image)
        return project

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.root.name

    @property
    def annotations(self) -> Path:
        """Folder of what is drawn."""
        return self.root / ANNOTATIONS

    @property
    def cache(self) -> Path:
        """Folder of what can be made again."""
        return self.annotations / '.cache'

    def document(self, pair: Pair) -> Path:
        """File of what is drawn in a pair."""
        return self.annotations / f'{pair.name}.json'

    def pair(self, key: str) -> Pair:
        """The pair of an id.

        Raises:
            NotFound: If there is none.
        """
        try:
            return self._by_id[key]
        except KeyError:
            raise NotFound(f'no pair {key!r}') from None

    @cached_property
    def _by_id(self) -> Dict[str, Pair]:
        return {pair.id: pair for pair in self.pairs}

    def check_inside(self, path: Path) -> None:
        """Refuse a path that leads out of the data root.

        Args:
            path (Path): Links in it are followed.

        Raises:
            AnnotationError: If it leads elsewhere.
        """
        real = Path(path).resolve()
        if not any(real.is_relative_to(folder)
                   for folder in (self.root, *self.allowed)):
            raise AnnotationError(
                f'{path} leads to {real}, outside of {self.root}; --allow '
                f'{real.parent} permits it')


def _from_folder(root: Path) -> List[Pair]:
    """Pairs of a folder of any layout."""
    try:
        pairs = _from_layout(root, '')
        if pairs is None:
            pairs = []
            for folder in sorted(root.iterdir(),
                                 key=lambda path: natural_key(path.name)):
                if folder.is_dir() and folder.name not in _OWN:
                    pairs += _from_layout(folder, f'{folder.name}/') or []
    except ConversionError as error:
        raise AnnotationError(str(error)) from error
    return pairs or _from_raw(root)


def _from_layout(folder: Path, prefix: str) -> Optional[List[Pair]]:
    """Pairs of ``A`` and ``B``, None where there are no such folders."""
    for layout in LAYOUTS:
        first, second, third = (folder / name for name in layout)
        if not (first.is_dir() and second.is_dir()):
            continue
        images = {str(path): list_images(path) for path in (first, second)}
        guides = list_images(third) if third.is_dir() else {}
        return [
            Pair(
                prefix + stem,
                {key: files[stem]
                 for key, files in zip(KEYS, (*images.values(), guides))
                 if stem in files},
                folder / 'label' / stem)
            for stem in match_stems(images)
        ]
    return None


def _from_raw(root: Path) -> List[Pair]:
    """Pairs of raw scenes."""
    roles = dict(A='A', B='B')
    try:
        scenes, _ = find_scenes(root, _RAW, roles)
    except ConversionError as error:
        text = str(error).split('; --')[0]
        if 'no scene fits' not in text:
            raise AnnotationError(text) from error
        raise AnnotationError(
            f'{root} holds no pairs: expected folders A and B (or t1 and '
            't2), folders of such folders, or raw scenes NAME_A.tif and '
            'NAME_B.tif') from error
    try:
        guided, _ = find_scenes(root, _RAW, dict(roles, C='D'),
                                skip_incomplete=True)
    except ConversionError:
        guided = []
    images = {scene.name: scene.paths for scene in (*scenes, *guided)}
    return [Pair(name, {key: paths[key] for key in KEYS if key in paths},
                 root / f'{name}_E') for name, paths in images.items()]


def _from_list(path: Path) -> List[Pair]:
    """Pairs of a list."""
    if path.suffix.lower() not in LISTS:
        raise AnnotationError(
            f'{path}: expected a folder, or a list of images ('
            f'{", ".join(LISTS)})')
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except UnicodeDecodeError as error:
        raise AnnotationError(f'{path} is no text: {error}') from error
    pairs: Dict[str, Pair] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith('#'):
            continue
        separator = next((sign for sign in '\t,' if sign in line), None)
        columns = [part.strip() for part in line.strip().split(separator)]
        where = f'{path}:{number}'
        if len(columns) not in (2, 3) or not all(columns):
            raise AnnotationError(
                f'{where} has {len(columns)} columns, expected 2 or 3 '
                'images')
        images = {key: path.parent / name
                  for key, name in zip(KEYS, columns)}
        for image in images.values():
            if not image.is_file():
                raise AnnotationError(f'{where}: no image {image}')
        name = images['A'].stem
        if name in pairs:
            name = '_'.join((images['A'].parent.name, name))
        if name in pairs:
            raise AnnotationError(f'{where}: a second pair called {name!r}; '
                                  'expected first images of other names')
        pairs[name] = Pair(name, images, path.parent / 'label' / name)
    if not pairs:
        raise AnnotationError(f'{path} names no image')
    return list(pairs.values())
