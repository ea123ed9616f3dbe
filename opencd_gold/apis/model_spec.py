"""What has to be known of a model to run it on pixels."""
import json
from dataclasses import asdict, dataclass
from typing import Optional, Tuple

KEY = 'opencd_gold'
_VERSION = 1
TILE_SIZE = 512
OVERLAP = 128


@dataclass(frozen=True)
class ModelSpec:
    """What a model expects and what it gives.

    Exported files carry it, as JSON under the key ``opencd_gold``.

    Attributes:
        name (str): Of config or file.
        channels (tuple[int, int]): Bands of the first and second image.
        mean (tuple[tuple[float]], optional): Of each band of each image, in
            the unit of the file. None where the model does not normalize.
        std (tuple[tuple[float]], optional): As ``mean``.
        color_order (str): ``'rgb'``, or ``'bgr'`` for a model that wants the
            bands of three-band images turned round.
        classes (tuple[str]): Unchanged first.
        palette (tuple[tuple[int]]): RGB of each class.
        threshold (float): Probability from which a pixel counts as changed.
        tile_size (int): Side of the tiles of a scene, in pixels.
        overlap (int): Of neighboring tiles, in pixels.
        digest (str): Tells the weights from others.
    """

    name: str
    channels: Tuple[int, int]
    mean: Optional[tuple] = None
    std: Optional[tuple] = None
    color_order: str = 'rgb'
    classes: Tuple[str, ...] = ('unchanged', 'changed')
    palette: tuple = ((0, 0, 0), (255, 255, 255))
    threshold: float = 0.5
    tile_size: int = TILE_SIZE
    overlap: int = OVERLAP
    digest: str = ''

    def to_json(self) -> str:
        """Text that :meth:`from_json` reads."""
        return json.dumps({'version': _VERSION, **asdict(self)})

    @classmethod
    def from_json(cls, text: str, source: str) -> 'ModelSpec':
        """Read what :meth:`to_json` wrote.

        Args:
            text (str): JSON.
            source (str): File it comes from, for the error.

        Returns:
            ModelSpec: The spec.

        Raises:
            ValueError: If the text is of another version or of something
                else.
        """
        try:
            values = json.loads(text)
            version = values.pop('version')
            if version == _VERSION:
                return cls(**{key: _tuples(value)
                              for key, value in values.items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f'{source}: its metadata {KEY!r} is no description of a '
                f'model of tools/export.py: {error}') from error
        raise ValueError(f'{source}: exported with version {version} of the '
                         f'description, expected {_VERSION}')


def _tuples(value):
    """Lists of JSON as tuples."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return value
