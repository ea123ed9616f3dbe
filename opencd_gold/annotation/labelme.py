"""Documents of annotations as files of labelme.

A file is what labelme reads and writes (https://github.com/wkentaro/labelme),
with more keys that it keeps:

- of the file ``opencd_gold``: ``notes`` and the format's number;
- of a shape ``id``, ``source`` (``person`` or ``model``), ``probability`` and
  ``rings``, outline and holes. ``points``, which labelme shows, are these
  rings as one outline (:func:`~opencd_gold.annotation.geometry.keyhole`).

``rings`` counts as long as it gives the ``points`` that are there; where
labelme has moved a point, the ``points`` do. Rectangles, circles and masks
become polygons. Shapes without an area (points, lines) are kept as they are,
and so is every key that is not known here.

The state of a pair is in labelme's own check boxes, the flags ``draft`` and
``done``.
"""
import base64
import hashlib
import io
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

import numpy as np
from PIL import Image

from .errors import AnnotationError
from .geometry import (
    Rings,
    check_rings,
    from_outline,
    keyhole,
    polygons_of_array,
)

STATES = ('todo', 'draft', 'done')
SOURCES = ('person', 'model')
OURS = 'opencd_gold'
# Of the format, which labelme compares with its own.
_LABELME = '5.5.0'
_FORMAT = 1
_CIRCLE = 64
# Characters of an id.
LONGEST = 100


@dataclass
class Shape:
    """One polygon.

    Attributes:
        label (str): Its class.
        rings (Rings): Outline and holes, in pixels.
        id (str): Unique in its document. Default: ``''``, given when it is
            stored.
        source (str): ``'person'`` or ``'model'``. Default: ``'person'``.
        probability (float, optional): Mean of the model. Default: None.
        extra (dict): Keys of the file that are not known here.
    """

    label: str
    rings: Rings
    id: str = ''
    source: str = 'person'
    probability: Optional[float] = None
    extra: dict = field(default_factory=dict)

    def describe(self) -> dict:
        """What the page has to know."""
        return dict(id=self.id, label=self.label, rings=self.rings,
                    source=self.source, probability=self.probability)


@dataclass
class Document:
    """What is drawn in a pair.

    Attributes:
        shapes (list[Shape]): In order; later ones lie above.
        state (str, optional): One of ``STATES``; None where the file does
            not say, as labelme alone made it.
        notes (str): Of the annotator.
        others (list[dict]): Shapes of the file that have no area.
        extra (dict): Further keys of the file.
    """

    shapes: List[Shape] = field(default_factory=list)
    state: Optional[str] = 'todo'
    notes: str = ''
    others: List[dict] = field(default_factory=list)
    extra: dict = field(default_factory=dict)


def parse(content: bytes, path: Path) -> Document:
    """Read a file.

    Args:
        content (bytes): Of the file.
        path (Path): Named in errors.

    Returns:
        Document: Of all shapes that have an area.

    Raises:
        AnnotationError: If it is no file of labelme.
    """
    try:
        data = json.loads(content)
        shapes = list(data['shapes'])
        flags = dict(data.get('flags') or {})
        ours = dict(data.get(OURS) or {})
    except (ValueError, KeyError, TypeError) as error:
        raise AnnotationError(
            f'{path} is no annotation of labelme: '
            f'{type(error).__name__} {error}; nothing was changed. Move it '
            'away to begin anew') from error
    document = Document(notes=str(ours.get('notes', '')), extra=data)
    document.state = None
    if {'draft', 'done'} & set(flags):
        document.state = 'done' if flags.get('done') else (
            'draft' if flags.get('draft') else 'todo')
    known = set()
    for index, raw in enumerate(shapes):
        try:
            found = _parse_shape(raw)
        except (ValueError, KeyError, TypeError, IndexError,
                AttributeError) as error:
            raise AnnotationError(
                f'{path}: shapes[{index}] cannot be read: {error}; nothing '
                'was changed') from error
        if not found:
            document.others.append(raw)
        for shape in found:
            while not shape.id or shape.id in known:
                # The same for the same file, so that it can be found again.
                text = f'{len(known)} {shape.id} {json.dumps(raw)}'
                shape.id = hashlib.sha256(text.encode()).hexdigest()[:16]
            known.add(shape.id)
            document.shapes.append(shape)
    return document


_OWN_KEYS = ('id', 'label', 'points', 'rings', 'shape_type', 'source',
             'probability')


def _parse_shape(raw: dict) -> List[Shape]:
    """Polygons of one shape of a file, none if it has no area."""
    points, kind = raw['points'], raw.get('shape_type') or 'polygon'
    if kind == 'rectangle' and len(points) == 2:
        (left, top), (right, bottom) = points
        points = [[left, top], [right, top], [right, bottom], [left, bottom]]
    elif kind == 'circle' and len(points) == 2:
        (x, y), end = points
        radius = math.hypot(end[0] - x, end[1] - y)
        angles = np.arange(_CIRCLE) * 2 * np.pi / _CIRCLE
        points = np.stack([x + radius * np.cos(angles),
                           y + radius * np.sin(angles)], 1).tolist()
    elif kind == 'mask' and raw.get('mask'):
        return _parse_mask(raw)
    elif kind not in ('polygon', 'rectangle', 'oriented_rectangle') or len(
            points) < 3:
        return []
    points = np.asarray(points, float).reshape(-1, 2).tolist()
    rings = raw.get('rings')
    if rings is not None:
        check_rings(rings)
    if rings is not None and _same(keyhole(rings), points):
        polygons = [rings]
    else:
        check_rings([points])
        polygons = from_outline(points)
    probability = raw.get('probability')
    if not (isinstance(probability, (int, float)) and 0 <= probability <= 1):
        probability = None
    source = raw.get('source')
    name = str(raw.get('id') or '')
    name = name if len(name) <= LONGEST else ''
    return [
        Shape(
            str(raw['label']), rings,
            id=name if index == 0 else '',
            source=source if source in SOURCES else 'person',
            probability=probability,
            extra={key: value for key, value in raw.items()
                   if key not in _OWN_KEYS})
        for index, rings in enumerate(polygons)
    ]


def _parse_mask(raw: dict) -> List[Shape]:
    """Polygons of a mask that labelme's segmentation made."""
    left, top = np.rint(np.min(raw['points'], axis=0)).tolist()
    with Image.open(io.BytesIO(base64.b64decode(raw['mask']))) as image:
        mask = np.array(image.convert('L')) > 0
    extra = {key: value for key, value in raw.items()
             if key not in (*_OWN_KEYS, 'mask')}
    return [
        Shape(str(raw['label']), [[[x + left, y + top] for x, y in ring]
                                  for ring in rings], extra=extra)
        for rings in polygons_of_array(mask)
    ]


def _same(one, other) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    return one.shape == other.shape and np.allclose(one, other, atol=1e-6)


def serialize(document: Document, path: Path, image: Path, width: int,
              height: int) -> bytes:
    """A file of labelme.

    Args:
        document (Document): To be written.
        path (Path): Where the file will be.
        image (Path): A, that labelme shows.
        width (int): Of A, in pixels.
        height (int): Of A, in pixels.

    Returns:
        bytes: JSON.
    """
    data = dict(document.extra)
    flags = dict(data.get('flags') or {})
    flags.update(draft=document.state == 'draft',
                 done=document.state == 'done')
    ours = dict(data.get(OURS) or {}, format=_FORMAT, notes=document.notes)
    data.update(
        version=data.get('version') or _LABELME,
        flags=flags,
        shapes=[_write_shape(shape) for shape in document.shapes]
        + document.others,
        imagePath=Path(os.path.relpath(image, path.parent)).as_posix(),
        imageData=None,
        imageHeight=height,
        imageWidth=width)
    data[OURS] = ours
    text = json.dumps(data, ensure_ascii=False, indent=1)
    return text.encode()


def _write_shape(shape: Shape) -> Dict[str, object]:
    common = dict(group_id=None, description='', flags={})
    return dict(
        common, **dict(
            shape.extra,
            label=shape.label,
            points=keyhole(shape.rings),
            shape_type='polygon',
            id=shape.id,
            source=shape.source,
            probability=shape.probability,
            rings=shape.rings))
