"""Change of pairs of arrays, pictures and scenes."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Union

import numpy as np

from opencd_gold.datasets.reading import is_raster, read_image

from .backends import EXPORTED, load_exported

Image = Union[str, Path, np.ndarray]
_NODATA = 255


@dataclass
class ChangeResult:
    """Change of one pair.

    Attributes:
        probability (ndarray): ``(H, W)`` float32, NaN where there is no
            data.
        mask (ndarray): ``(H, W)`` uint8: 1 changed, 0 unchanged, 255 no
            data.
        image (ndarray): First image, ``(H, W, C)``, as it was read.
        name (str): Of the first image; empty for arrays.
        pixel_area (float, optional): Square meters of a pixel, where known.
        profile (dict): CRS and transform, of rasters.
    """

    probability: np.ndarray
    mask: np.ndarray
    image: np.ndarray
    name: str = ''
    pixel_area: Optional[float] = None
    profile: dict = field(default_factory=dict)

    @property
    def statistics(self) -> Dict[str, Optional[float]]:
        """Figures of the map.

        ``pixels``, ``valid_pixels``, ``changed_pixels``, ``changed_share``
        (of the valid ones), ``mean_probability`` and, where the area is
        known, ``changed_area_m2``.
        """
        valid = self.mask != _NODATA
        changed = int((self.mask == 1).sum())
        count = int(valid.sum())
        found = dict(
            pixels=self.mask.size,
            valid_pixels=count,
            changed_pixels=changed,
            changed_share=changed / count if count else None,
            mean_probability=(
                float(self.probability[valid].mean()) if count else None))
        if self.pixel_area is not None:
            found['changed_area_m2'] = changed * self.pixel_area
        return found

    def overlay(self, alpha: float = 0.5) -> np.ndarray:
        """The first image with changed pixels colored.

        Args:
            alpha (float): Share of the color. Default: 0.5.

        Returns:
            ndarray: RGB ``(H, W, 3)`` uint8.
        """
        from opencd_gold.scenes.quicklook import blend
        return blend(self.image, self.mask, alpha)

    def save(self, out_dir: Union[str, Path],
             name: Optional[str] = None) -> List[Path]:
        """Write mask, probability and overlay.

        Rasters become GeoTIFF with CRS (the probability float32), pictures
        PNG (the mask 0 and 255, the probability 0 to 254).

        Args:
            out_dir (str | Path): Folder, made if it is not there.
            name (str, optional): Start of the file names. Default: None,
                that of the first image.

        Returns:
            list[Path]: What was written.

        Raises:
            SceneError: If a file cannot be written; it is not there then.
        """
        from opencd_gold.scenes.parts import write_atomically, writing
        from opencd_gold.scenes.quicklook import encode_png
        out_dir = Path(out_dir)
        with writing(out_dir):
            out_dir.mkdir(parents=True, exist_ok=True)
        name = name or self.name or 'change'
        suffix = '.tif' if self.profile else '.png'
        files = {f'{name}_overlay.png': encode_png(self.overlay())}
        for kind, pixels in (('probability', self.probability),
                             ('mask', self.mask)):
            if self.profile:
                content = _geotiff(pixels, self.profile)
            elif kind == 'mask':
                content = encode_png(np.uint8(255) * (pixels == 1))
            else:
                content = encode_png(np.uint8(
                    np.rint(np.nan_to_num(pixels) * 254)))
            files[f'{name}_{kind}{suffix}'] = content
        for file, content in files.items():
            write_atomically(out_dir / file, content)
        return [out_dir / file for file in files]


def _geotiff(pixels: np.ndarray, profile: dict) -> bytes:
    """One band as a GeoTIFF file."""
    from rasterio.io import MemoryFile
    nodata = np.nan if pixels.dtype.kind == 'f' else _NODATA
    with MemoryFile() as memory:
        with memory.open(
                driver='GTiff', count=1, height=pixels.shape[0],
                width=pixels.shape[1], dtype=pixels.dtype, nodata=nodata,
                compress='deflate', **profile) as target:
            target.write(pixels, 1)
        memory.seek(0)
        return memory.read()


class ChangeInferencer:
    """Predicts change with a trained model; needs no teacher and no guide.

    Example::

        inferencer = ChangeInferencer('student.pth', device='cuda')
        result = inferencer('before.png', 'after.png')
        result.save('out')
        inferencer.predict_scene('before.tif', 'after.tif', 'out')

    Args:
        model (str | Path | Config | Sequence): A config (with ``weights``),
            a checkpoint that brings its config, an exported ``.onnx`` or
            ``.pt2`` file, the name of a config, or several of these, see
            :func:`~opencd_gold.apis.loading.load_backend`.
        weights (str | Path | Sequence, optional): Checkpoint of a config.
            Default: None.
        device (str, optional): Default: None, ``'cuda'`` where there is one,
            else ``'cpu'``.
        batch_size (int): Pairs, or tiles, a batch. Default: 4.
        flips (Sequence[str], optional): Test-time augmentation:
            ``'horizontal'``, ``'vertical'``, ``'diagonal'``. Default: None,
            what the config says.
        threshold (float, optional): Probability above which a pixel counts
            as changed. Default: None, that of the model.
        tile_size (int, optional): Side of the tiles of a scene, in pixels;
            if it is given, larger pictures are tiled as well. Default: None,
            that of the model.
        overlap (int, optional): Of neighboring tiles, at most a third of
            them. Default: None, that of the model, a quarter of the tile
            where ``tile_size`` is given.
        fuse (bool): Predict in the fastest form. Default: True.
        cfg_options (dict, optional): Overrides of the config. Default: None.

    Attributes:
        spec (ModelSpec): What the model expects.
    """

    def __init__(self,
                 model,
                 weights=None,
                 device: Optional[str] = None,
                 batch_size: int = 4,
                 flips: Optional[Sequence[str]] = None,
                 threshold: Optional[float] = None,
                 tile_size: Optional[int] = None,
                 overlap: Optional[int] = None,
                 fuse: bool = True,
                 cfg_options: Optional[dict] = None):
        if batch_size < 1:
            raise ValueError(f'batch_size {batch_size}: expected 1 or more')
        if threshold is not None and not 0 <= threshold <= 1:
            raise ValueError(f'threshold {threshold}: expected 0 to 1')
        self.backend = _load(model, weights, device or _best_device(), flips,
                             fuse, cfg_options)
        self.spec = self.backend.spec
        self.batch_size = batch_size
        self.threshold = (self.spec.threshold
                          if threshold is None else threshold)
        self.tiles_arrays = tile_size is not None
        if overlap is None:
            overlap = self.spec.overlap if tile_size is None else (
                tile_size // 4)
        self.tile_size = tile_size or self.spec.tile_size
        self.overlap = overlap

    def __call__(self, img_from: Union[Image, Sequence[Image]],
                 img_to: Union[Image, Sequence[Image]],
                 advance: Optional[Callable[[int], None]] = None,
                 **pair_options) -> Union[ChangeResult, List[ChangeResult]]:
        """Predict one pair, or many.

        Args:
            img_from (array | str | Path | Sequence): Of the first date:
                ``(H, W)`` or ``(H, W, C)``, RGB, or a file. GeoTIFFs are
                put on the grid of the first; what they hold must fit into
                memory (:meth:`predict_scene` has no such limit).
            img_to (array | str | Path | Sequence): Of the second date.
            advance (Callable, optional): Called with the number of pairs
                done since. Default: None.
            pair_options: For GeoTIFFs, see
                :meth:`~opencd_gold.scenes.grid.ScenePair.of`.

        Returns:
            ChangeResult | list[ChangeResult]: One for each pair.

        Raises:
            ValueError: If bands or sizes do not fit, or lists differ in
                length.
        """
        many = isinstance(img_from, (list, tuple))
        if many != isinstance(img_to, (list, tuple)) or (
                many and len(img_from) != len(img_to)):
            raise ValueError('img_from and img_to: expected two images, or '
                             'two lists of the same length')
        if not many:
            img_from, img_to = [img_from], [img_to]
        results, waiting = [], []
        for first, second in zip(img_from, img_to):
            item = self._read(first, second, pair_options)
            if waiting and (len(waiting) == self.batch_size
                            or not _stackable(waiting[-1], item)):
                results += self._predict(waiting, advance)
                waiting = []
            waiting.append(item)
        results += self._predict(waiting, advance)
        return results if many else results[0]

    def _read(self, first: Image, second: Image, options: dict) -> dict:
        """Pixels ``(C, H, W)`` of a pair, validity and origin."""
        named = [not isinstance(image, np.ndarray)
                 for image in (first, second)]
        if any(named) and is_raster(str(first if named[0] else second)):
            if not all(named):
                raise ValueError('an array and a raster: expected two '
                                 'arrays or two files')
            return self._read_rasters(first, second, options)
        if options:
            raise ValueError(f'{sorted(options)} are for GeoTIFFs alone, '
                             f'found {first if named[0] else "arrays"}')
        images, valid = [], True
        for image, date, bands, is_file in zip(
            (first, second), ('img_from', 'img_to'), self.spec.channels,
                named):
            name, missing = date, None
            if is_file:
                name = str(image)
                image, missing = read_image(name, color_order='rgb')
            image = image[..., None] if image.ndim == 2 else image
            if image.ndim != 3 or image.shape[2] != bands:
                raise ValueError(f'{name} has the shape {image.shape}, '
                                 f'expected (H, W, {bands})')
            finite = (np.isfinite(image).all(2)
                      if image.dtype.kind == 'f' else True)
            if is_file and missing is not None:
                finite = finite & ~missing
            images.append(image)
            valid = valid & finite
        if images[0].shape[:2] != images[1].shape[:2]:
            raise ValueError(
                f'{first if named[0] else "img_from"} is '
                f'{images[0].shape[0]} x {images[0].shape[1]}, '
                f'{second if named[1] else "img_to"} '
                f'{images[1].shape[0]} x {images[1].shape[1]} (height x '
                'width), expected the same')
        valid = np.broadcast_to(valid, images[0].shape[:2])
        dtype = images[0].dtype
        if any(image.dtype != np.uint8 for image in images):
            dtype = np.float32
        pixels = np.concatenate(
            [image.astype(dtype, copy=False) for image in images], axis=2)
        if not valid.all():
            pixels[~valid] = 0
        name = Path(first).stem if named[0] else ''
        return dict(pixels=pixels.transpose(2, 0, 1), valid=valid,
                    image=images[0], name=name)

    def _read_rasters(self, first, second, options: dict) -> dict:
        from rasterio.windows import Window

        from opencd_gold.scenes.grid import ScenePair
        with ScenePair.of(first, second, **options).open(
                self.spec.channels) as reader:
            height, width = reader.grid.shape
            pixels, valid = reader.read(Window(0, 0, width, height))
            grid = reader.grid
        image = pixels[:self.spec.channels[0]].transpose(1, 2, 0)
        return dict(
            pixels=pixels, valid=valid, image=image, name=Path(first).stem,
            pixel_area=grid.pixel_area(),
            profile=dict(crs=grid.crs, transform=grid.transform))

    def _is_tiled(self, item: dict) -> bool:
        return self.tiles_arrays and max(item['valid'].shape) > self.tile_size

    def _predict(self, items: List[dict], advance) -> List[ChangeResult]:
        """Results of pairs of one shape."""
        if self._is_tiled(items[0]):
            from opencd_gold.scenes.predict import predict_array
            found = [
                predict_array(self.backend, item['pixels'], item['valid'],
                              self.tile_size, self.overlap, self.batch_size)
                for item in items
            ]
        else:
            found = self.backend(np.stack([item['pixels']
                                           for item in items]))
        results = []
        for probability, item in zip(found, items):
            item.pop('pixels')
            valid = item.pop('valid')
            mask = (probability > self.threshold).astype(np.uint8)
            mask[~valid] = _NODATA
            results.append(
                ChangeResult(np.where(valid, probability, np.nan), mask,
                             **item))
        if advance is not None:
            advance(len(items))
        return results

    def predict_scene(self,
                      img_from,
                      img_to,
                      out_dir: Union[str, Path],
                      name: Optional[str] = None,
                      overwrite: bool = False,
                      restart: bool = False,
                      rank: int = 0,
                      world_size: int = 1,
                      progress: Optional[Callable[[int, int], None]] = None,
                      **pair_options):
        """Predict a pair of rasters of any size, in bounded memory.

        Args:
            img_from (str | Path): Of the first date; its grid and CRS are
                those of the maps.
            img_to (str | Path): Of the second date.
            out_dir (str | Path): Folder of the maps.
            name (str, optional): Of the maps. Default: None, that of the
                first image.
            overwrite (bool): Make maps anew that are there. Default: False.
            restart (bool): Throw away what an unfinished run left.
                Default: False, go on with it.
            rank (int): Of this process. Default: 0.
            world_size (int): Processes that share the scene. Default: 1.
            progress (Callable, optional): Called with the number of tiles
                done since, and of all. Default: None.
            pair_options: ``bands``, ``limits``, ``resampling``,
                ``nonfinite``, ``assume_same_grid``, see
                :meth:`~opencd_gold.scenes.grid.ScenePair.of`.

        Returns:
            SceneResult: See
            :func:`~opencd_gold.scenes.predict.predict_scene`.

        Raises:
            SceneError: Likewise.
        """
        from opencd_gold.scenes.grid import ScenePair
        from opencd_gold.scenes.predict import (
            SceneOptions,
            describe,
            predict_scene,
        )
        options = SceneOptions(
            tile_size=self.tile_size,
            overlap=self.overlap,
            threshold=self.threshold,
            batch_size=self.batch_size,
            overwrite=overwrite,
            restart=restart,
            rank=rank,
            world_size=world_size)
        return predict_scene(
            self.backend,
            self.spec.channels,
            f'{self.spec.name} {self.spec.digest}',
            ScenePair.of(img_from, img_to, **pair_options),
            Path(out_dir),
            options,
            name=name,
            tags=dict(MODEL=self.spec.name, **describe(options)),
            progress=progress)


def _stackable(one: dict, other: dict) -> bool:
    """Whether pixels of two pairs can be one batch."""
    one, other = one['pixels'], other['pixels']
    return one.shape == other.shape and one.dtype == other.dtype


def _best_device() -> str:
    import torch
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def _load(model, weights, device, flips, fuse, cfg_options):
    """A backend; exported models without a look at model code."""
    if isinstance(model, (str, Path)) and Path(model).suffix in EXPORTED:
        from .backends import Ensemble
        if weights is not None or cfg_options:
            raise ValueError(f'{model} is complete, found also weights or '
                             'options of a config')
        return Ensemble([load_exported(model, device)], flips=flips or ())
    from .loading import load_backend
    return load_backend(model, weights, device, flips, fuse, cfg_options)
