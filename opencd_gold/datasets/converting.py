"""What every tool that writes a data set has in common.

A tool plans first and writes second. It matches the files that belong
together (:func:`list_images`, :func:`match_stems`), makes a list of
:class:`Job`, one for each file to write, and hands it to :func:`run_jobs`,
which refuses to touch a folder that already holds a result, shows the
progress, puts the files in place when all are made and, on a dry run, writes
nothing.
"""
import argparse
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.logging import print_log
from rich.progress import track

from . import reading

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff')
TRIPLET_FOLDERS = ('A', 'B', 'C', 'label')
# What data sets read from a folder, and what GDAL writes beside an image.
_RESULTS = (*reading.IMAGE_SUFFIXES, '.wld', '.aux.xml')


class ConversionError(Exception):
    """The source cannot be converted, or the target must not be touched."""


class Job(NamedTuple):
    """One file to write.

    Attributes:
        target (Path): The file.
        write (Callable[[Path], None]): Writes the file it is given, and
            others beside it where the format has them.
        source (Path, optional): The file it is made from.
        shared (bool): Whether other files of its folder are left alone, as
            with lists; a data set takes all images of a folder. Defaults to
            False.
    """
    target: Path
    write: Callable[[Path], None]
    source: Path | None = None
    shared: bool = False


def natural_key(text: str) -> tuple:
    """Sort key that puts ``tile_9`` before ``tile_10``."""
    return tuple(
        (1, int(part), '') if part.isdecimal() else (0, 0, part)
        for part in re.split(r'(\d+)', text) if part)


def folder_names(root: str | Path) -> list[str]:
    """Names of the folders in a folder, in natural order; [] without it."""
    root = Path(root)
    if not root.is_dir():
        return []
    return sorted((path.name for path in root.iterdir() if path.is_dir()),
                  key=natural_key)


def list_images(folder: str | Path, prefix: str = '') -> dict[str, Path]:
    """Images of one folder by stem, in natural order.

    Args:
        folder (str | Path): The folder; not searched recursively.
        prefix (str): Start of the file names that is no part of the stem;
            images without it are an error. Defaults to ''.

    Returns:
        dict[str, Path]: Path of each image by its stem.

    Raises:
        ConversionError: If the folder does not exist or holds no image, if
            a name lacks the prefix, or if two images share a stem.
    """
    folder = Path(folder)
    if not folder.is_dir():
        alike = [name for name in folder_names(folder.parent)
                 if name.lower() == folder.name.lower()]
        raise ConversionError(f'{folder}: no such folder' + (
            f', but there is {alike[0]}' if alike else ''))
    found: dict[str, Path] = {}
    for path in folder.iterdir():
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        if not path.name.startswith(prefix):
            raise ConversionError(
                f'{path}: expected a name that starts with {prefix!r}')
        stem = path.stem[len(prefix):]
        if stem in found:
            raise ConversionError(
                f'{folder}: {found[stem].name} and {path.name} share the '
                f'stem {stem!r}')
        found[stem] = path
    if not found:
        raise ConversionError(
            f'{folder}: holds no image ({", ".join(IMAGE_SUFFIXES)})')
    return {stem: found[stem] for stem in sorted(found, key=natural_key)}


def match_stems(images: Mapping[str, Mapping[str, Path]]) -> list[str]:
    """Stems of folders that must hold the same ones.

    Args:
        images (Mapping[str, Mapping[str, Path]]): Result of
            :func:`list_images` by the name of its folder.

    Returns:
        list[str]: The stems in natural order.

    Raises:
        ConversionError: If a folder lacks a stem that another one has; the
            message counts them and names the first three, or the files if
            each folder holds one.
    """
    stems = sorted(
        {stem for folder in images.values() for stem in folder},
        key=natural_key)
    missing = [(name, stem) for stem in stems
               for name, folder in images.items() if stem not in folder]
    if missing:
        first = ', '.join(f'{stem} in {name}' for name, stem in missing[:3])
        alone = [path for folder in images.values()
                 for path in folder.values()]
        found = f' (found {", ".join(map(str, alone))})' if all(
            len(folder) == 1 for folder in images.values()) else ''
        raise ConversionError(
            f'{len(missing)} of {len(stems) * len(images)} files are '
            f'missing, first: {first}; files of one sample need the same '
            f'name in every folder{found}')
    return stems


def every_nth(stems: Sequence[str], step: int = 10,
              first: int = 5) -> tuple[list[str], list[str]]:
    """Hold out every n-th item of a list.

    Args:
        stems (Sequence[str]): The list, in order.
        step (int): Distance of two items held out. Defaults to 10.
        first (int): Position of the first one, from 0. Defaults to 5.

    Returns:
        tuple[list[str], list[str]]: What stays and what is held out.
    """
    held_out = list(stems[first::step])
    return [stem for i, stem in enumerate(stems)
            if i < first or (i - first) % step], held_out


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as it is stored, colour in the order of OpenCV.

    Raises:
        ConversionError: If the file cannot be decoded.
    """
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ConversionError(f'{path}: cannot be read as an image')
    return image


def save_image(path: str | Path, image: np.ndarray) -> None:
    """Write an image, colour in the order of OpenCV.

    Raises:
        ConversionError: If the file cannot be written.
    """
    if not cv2.imwrite(str(path), image):
        raise ConversionError(f'{path}: cannot be written')


def copy_job(source: Path, target: Path, link: bool = False) -> Job:
    """A job that copies a file, or links to it by its absolute path."""
    source = source.resolve()

    def write(path: Path) -> None:
        if link:
            path.symlink_to(source)
        else:
            shutil.copyfile(source, path)

    return Job(target, write, source)


def binary_label_job(source: Path, target: Path, link: bool = False) -> Job:
    """A job that writes a label with the values 0 and 255.

    A label that has these values already is copied or linked to as it is;
    one with 0 and 1 is scaled.

    Raises:
        ConversionError: If the label has other values or several bands.
    """
    label = read_image(source)
    values = np.unique(label)
    if label.ndim != 2:
        raise ConversionError(
            f'{source}: expected a label of one band, found the shape '
            f'{label.shape}')
    if set(values.tolist()) <= {0, 255}:
        return copy_job(source, target, link)
    if set(values.tolist()) <= {0, 1}:
        return Job(target,
                   lambda path: save_image(path, read_image(source) * 255),
                   source)
    raise ConversionError(
        f'{source}: expected the values 0 and 255 (or 0 and 1), found '
        f'{values[:5].tolist()} ({len(values)} values)')


def _check_targets(jobs: Sequence[Job]) -> list[Path]:
    """Folders of a plan.

    Raises:
        ConversionError: If two jobs write the same file, or if a folder is
            none.
    """
    seen: set[Path] = set()
    for job in jobs:
        if job.target in seen:
            raise ConversionError(f'{job.target}: would be written twice')
        seen.add(job.target)
    folders = sorted({path.parent for path in seen})
    for folder in folders:
        if folder.exists() and not folder.is_dir():
            raise ConversionError(f'{folder}: exists and is no folder')
    return folders


def _find_leftovers(jobs: Sequence[Job]) -> list[Path]:
    """Files of an earlier result that the plan replaces.

    Those of the same names, and all images of a folder that is not shared.

    Raises:
        ConversionError: If a target is a folder.
    """
    leftovers = set()
    for job in jobs:
        if job.target.is_dir() and not job.target.is_symlink():
            raise ConversionError(f'{job.target}: exists and is a folder')
        if os.path.lexists(job.target):
            leftovers.add(job.target)
    for folder in {job.target.parent for job in jobs if not job.shared}:
        if folder.is_dir():
            leftovers |= {
                path for path in folder.iterdir()
                if path.name.lower().endswith(_RESULTS)
                and not path.name.startswith('.')
                and (path.is_symlink() or not path.is_dir())}
    return sorted(leftovers)


@contextmanager
def _made(folders: Sequence[Path]) -> Iterator[None]:
    """Make folders; remove the new ones if what follows fails."""
    missing = {path for folder in folders
               for path in (folder, *folder.parents) if not path.exists()}
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in sorted(missing, reverse=True):
            with suppress(OSError):
                path.rmdir()
        raise


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    """Move every file, or none."""
    begun = []
    try:
        for source, target in moves:
            begun.append((source, target))
            shutil.move(source, target)
    except BaseException:
        for source, target in reversed(begun):
            if os.path.lexists(target) and not os.path.lexists(source):
                shutil.move(target, source)
        raise


def run_jobs(jobs: Sequence[Job],
             force: bool = False,
             dry_run: bool = False,
             description: str = 'writing') -> None:
    """Write every file of a plan, or none.

    Files are made in hidden folders beside those that they belong in, and
    change places with an earlier result when all are made. If anything fails
    before, everything is as it was. The disk holds both results for a while.

    Args:
        jobs (Sequence[Job]): The files to write. Images in the folders that
            they lie in count as an earlier result, unless a job says that
            it shares its folder; then only files of the same names do.
        force (bool): Replace an earlier result; without it, it is an error.
            Other files and folders stay. Defaults to False.
        dry_run (bool): Check everything and write nothing. Defaults to
            False.
        description (str): What the progress bar says. Defaults to
            'writing'.

    Raises:
        ConversionError: If there is an earlier result and ``force`` is off,
            if a target is a folder or its folder is none, if two jobs write
            the same file, or if a source lies in a folder that would be
            written.
    """
    folders = _check_targets(jobs)
    leftovers = _find_leftovers(jobs)
    if leftovers and not force:
        raise ConversionError(
            f'{leftovers[0].parent}: already holds {leftovers[0].name} '
            f'({len(leftovers)} files in all); --force replaces them')
    doomed = {folder.resolve() for folder in folders if folder.is_dir()}
    for job in jobs:
        if job.source is not None and job.source.resolve().parent in doomed:
            raise ConversionError(
                f'{job.source}: lies in a folder that would be written; '
                'choose another target')
    if dry_run:
        print_log(f'{description}: would write {len(jobs)} files to '
                  f'{len(folders)} folders')
        return
    with ExitStack() as stack:
        stack.enter_context(_made(folders))
        new, old = {}, {}
        for folder in folders:
            place = folder.resolve()
            beside = Path(stack.enter_context(TemporaryDirectory(
                prefix=f'.{place.name}.', dir=place.parent)))
            new[folder], old[folder] = beside / 'new', beside / 'old'
            new[folder].mkdir()
            old[folder].mkdir()
        for job in track(jobs, description):
            job.write(new[job.target.parent] / job.target.name)
        _move([
            *((path, old[path.parent] / path.name) for path in leftovers),
            *((path, folder / path.name) for folder in folders
              for path in sorted(new[folder].iterdir()))])
    print_log(f'{description}: done, {len(jobs)} files in '
              f'{len(folders)} folders')


def add_write_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--force`` and ``--dry-run``, the arguments of run_jobs."""
    parser.add_argument(
        '--force', action='store_true',
        help='replace an earlier result: images in the target folders, '
        'files of the same names; what else is there stays')
    parser.add_argument(
        '--dry-run', action='store_true',
        help='check everything and write nothing')


def exit_on_error(main: Callable[[argparse.Namespace], None],
                  args: argparse.Namespace) -> None:
    """Run a tool; a wrong argument, set or disk ends it with one line."""
    try:
        main(args)
    except (ConversionError, ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None
