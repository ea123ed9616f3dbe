"""The server of the page: images, annotations, geometry and drafts.

Whoever wants anything but the page itself needs the token. Requests that name
another host, or come from the page of another, are refused: without that, any
web page that is open in the same browser could speak to the server
(https://owasp.org/www-community/attacks/csrf, and DNS rebinding).
"""
import asyncio
import secrets
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, List, Literal, Optional, Union
from urllib.parse import urlsplit

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from mmengine.logging import print_log
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from opencd_gold.scenes.grid import SceneError

from . import geometry
from .drafts import Drafts
from .errors import AnnotationError, Conflict
from .imagery import Imagery, Stretch
from .labelme import LONGEST, Shape
from .project import LOOPBACK, Project
from .storage import Storage

PAGE = Path(__file__).parent / 'page'
BODY_LIMIT = 64 * 2**20
_WORKERS = 3
_HEADERS = {
    b'content-security-policy':
        b"default-src 'self'; img-src 'self' blob: data:; "
        b"style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; "
        b"base-uri 'none'; form-action 'none'",
    b'cross-origin-resource-policy': b'same-origin',
    b'referrer-policy': b'no-referrer',
    b'x-content-type-options': b'nosniff',
    b'x-frame-options': b'DENY',
}

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e7, le=1e7)]
Point = Annotated[List[Number], Field(min_length=2, max_length=2)]
RingModel = Annotated[List[Point], Field(min_length=3, max_length=200_000)]
RingsModel = Annotated[List[RingModel], Field(min_length=1,
                                              max_length=20_000)]
PathModel = Annotated[List[Point], Field(min_length=1, max_length=50_000)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Label = Annotated[str, Field(min_length=1, max_length=1000)]


class _Body(BaseModel):
    """A request; what it does not know is an error."""

    model_config = ConfigDict(extra='forbid')


class ShapeBody(_Body):
    """A polygon of a document."""

    id: Name
    label: Label
    rings: RingsModel
    source: Literal['person', 'model'] = 'person'
    probability: Optional[Annotated[float, Field(ge=0, le=1)]] = None


class DocumentBody(_Body):
    """What a window has drawn."""

    window: Name
    base_version: int
    state: Literal['todo', 'draft', 'done']
    notes: Annotated[str, Field(max_length=100_000)] = ''
    shapes: Annotated[List[ShapeBody], Field(max_length=100_000)]


class LeaseBody(_Body):
    """A window that opens, keeps or leaves a pair."""

    window: Name
    take: bool = False


class DraftBody(_Body):
    """What a model shall look at."""

    region: Optional[Annotated[List[Number], Field(min_length=4,
                                                   max_length=4)]] = None


class _Operation(_Body):
    """Of polygons; what it makes is cut off at ``size``, if that is given."""

    size: Optional[Annotated[List[Number], Field(min_length=2,
                                                 max_length=2)]] = None


class BrushBody(_Operation):
    """A stroke of the brush."""

    operation: Literal['brush']
    path: PathModel
    radius: Number
    add_to: Optional[RingsModel] = None


class EraseBody(_Operation):
    """A stroke of the eraser."""

    operation: Literal['erase']
    path: PathModel
    radius: Number
    polygons: Annotated[List[RingsModel], Field(max_length=10_000)]


class SplitBody(_Operation):
    """A cut along a line."""

    operation: Literal['split']
    rings: RingsModel
    line: PathModel


class MergeBody(_Operation):
    """A union."""

    operation: Literal['merge']
    polygons: Annotated[List[RingsModel], Field(min_length=1,
                                                max_length=10_000)]


class SimplifyBody(_Operation):
    """Fewer vertices."""

    operation: Literal['simplify']
    rings: RingsModel
    tolerance: Number


class ValidBody(_Operation):
    """A repair."""

    operation: Literal['valid']
    rings: RingsModel


GeometryBody = Annotated[
    Union[BrushBody, EraseBody, SplitBody, MergeBody, SimplifyBody,
          ValidBody], Field(discriminator='operation')]


class Guard:
    """Refuses requests before anything looks at them.

    Args:
        app: ASGI application.
        token (str): That ``/api`` wants as ``X-Token``.
        hosts (Iterable[str]): Names of this server.
        limit (int): Bytes of a body.
    """

    def __init__(self, app, token: str, hosts: Iterable[str], limit: int):
        self.app = app
        self.token = token.encode()
        self.hosts = {host.lower() for host in hosts}
        self.limit = limit

    async def __call__(self, scope, receive, send):
        """Serve one connection."""
        if scope['type'] != 'http':
            if scope['type'] == 'lifespan':
                await self.app(scope, receive, send)
            return

        async def send_with_headers(message):
            if message['type'] == 'http.response.start':
                known = {name.lower() for name, _ in message['headers']}
                message['headers'] = [
                    *message['headers'],
                    *((name, value) for name, value in _HEADERS.items()
                      if name not in known)]
            await send(message)

        headers = {name.lower(): value for name, value in scope['headers']}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send_with_headers)
            return
        taken = 0

        async def receive_some():
            nonlocal taken
            message = await receive()
            taken += len(message.get('body', b''))
            if taken > self.limit:
                raise HTTPException(413, self._limit_text())
            return message

        await self.app(scope, receive_some, send_with_headers)

    def _limit_text(self) -> str:
        return f'the request has more than {self.limit} bytes'

    def _refusal(self, scope, headers) -> Optional[Response]:
        """Why a request is not served."""
        host = headers.get(b'host', b'').decode('latin-1').lower()
        own = self.hosts | {str((scope.get('server') or ('', ))[0])}
        name = _host_name(host)
        if name not in own:
            return _error(403, f'host {host!r} is not the name of this '
                          'server')
        origin = headers.get(b'origin')
        if origin is not None and urlsplit(
                origin.decode('latin-1').lower()).netloc != host:
            return _error(403, 'a page of another origin is not served')
        if headers.get(b'sec-fetch-site') in (b'cross-site', b'same-site'):
            if scope['path'].startswith('/api'):
                return _error(403, 'a page of another origin is not served')
        if scope['path'].startswith('/api'):
            given = headers.get(b'x-token', b'')
            if not secrets.compare_digest(given, self.token):
                return _error(401, 'the token is missing or wrong: open the '
                              'address that the server printed')
        length = headers.get(b'content-length', b'0')
        if not length.isdigit():
            return _error(400, 'content-length: expected a number')
        if int(length) > self.limit:
            return _error(413, self._limit_text())
        return None


def _host_name(host: str) -> str:
    """Name in a Host header, without its port."""
    try:
        return urlsplit(f'//{host}').hostname or ''
    except ValueError:
        return ''


def _error(status: int, text: str, **details) -> JSONResponse:
    return JSONResponse({'error': text, **details}, status)


def names_of(host: str) -> set:
    """Names that a server on a host goes by.

    Args:
        host (str): It listens on.

    Returns:
        set[str]: Of loopback, the host itself and, where it listens on all
        addresses, this machine's names.
    """
    found = {*LOOPBACK, host}
    if host not in LOOPBACK:
        found |= {socket.gethostname(), socket.getfqdn()}
    return found


def create_app(project: Project,
               token: str,
               inferencer=None,
               hosts: Iterable[str] = LOOPBACK,
               pair_options: Optional[dict] = None,
               body_limit: int = BODY_LIMIT) -> FastAPI:
    """The server of a project.

    Args:
        project (Project): What is to be annotated.
        token (str): That the page must show.
        inferencer (ChangeInferencer, optional): Makes drafts. Default: None,
            there are none.
        hosts (Iterable[str]): Names that requests may address. Default: of
            loopback.
        pair_options (dict, optional): How the model reads rasters, see
            :meth:`~opencd_gold.scenes.grid.ScenePair.of`. Default: None.
        body_limit (int): Bytes of a request at most. Default: 64 MiB.

    Returns:
        FastAPI: With ``state.imagery``, ``state.storage`` and
        ``state.drafts``, that are closed when it shuts down.

    Raises:
        ValueError: If the token is empty.
    """
    if not token:
        raise ValueError('token: expected some characters')
    imagery = Imagery(project)
    storage = Storage(project)
    drafts = Drafts(inferencer, project.cache, pair_options)
    workers = ThreadPoolExecutor(_WORKERS, 'tiles')
    waiting = _Counter()
    imagery.overviews.busy = lambda: waiting.value > 0

    @asynccontextmanager
    async def lifespan(_):
        yield
        workers.shutdown(cancel_futures=True)
        imagery.overviews.close()
        drafts.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None,
                  openapi_url=None)
    app.add_middleware(Guard, token=token, hosts=hosts, limit=body_limit)
    app.state.imagery = imagery
    app.state.storage = storage
    app.state.drafts = drafts
    _add_error_handlers(app)
    app.mount('/page', _Page(directory=PAGE, check_dir=False))

    @app.get('/')
    def index():
        return FileResponse(PAGE / 'index.html',
                            headers={'Cache-Control': 'no-cache'})

    @app.get('/api/project')
    def get_project():
        pairs = []
        progress = dict(todo=0, draft=0, done=0)
        for pair in project.pairs:
            found = dict(id=pair.id, name=pair.name)
            try:
                found['state'], found['shapes'] = storage.summary(pair)
            except AnnotationError as error:
                # The others can be worked on.
                found.update(state='draft', shapes=0, error=str(error))
            progress[found['state']] += 1
            pairs.append(found)
        return dict(
            name=project.name,
            classes=[entry._asdict() for entry in project.classes],
            model=drafts.describe(), pairs=pairs, progress=progress)

    @app.get('/api/pairs/{key}')
    def get_pair(key: str):
        pair = project.pair(key)
        info = imagery.info(pair)
        imagery.prepare(info)
        document, version = storage.load(pair)
        return dict(
            info.describe(),
            document=dict(
                version=version, state=document.state, notes=document.notes,
                shapes=[shape.describe() for shape in document.shapes]))

    @app.get('/api/pairs/{key}/tiles/{image}/{level}/{column}/{row}.png')
    async def get_tile(request: Request, key: str, image: str, level: int,
                       column: int, row: int,
                       mode: Optional[str] = None,
                       low: Optional[float] = None,
                       high: Optional[float] = None,
                       bands: Annotated[Optional[str],
                                        Query(pattern=r'^\d{1,5}(,\d{1,5})*$')
                                        ] = None):
        stretch = None
        pair = project.pair(key)

        def work():
            nonlocal stretch
            if mode is not None or bands is not None:
                known = imagery.info(pair).image(image).stretch
                stretch = Stretch(
                    mode or known.mode,
                    tuple(map(int, bands.split(','))) if bands
                    else known.bands, low, high)
            return imagery.tile(pair, image, level, column, row, stretch)

        with waiting:
            async with slots():
                if await request.is_disconnected():
                    return Response(status_code=499)
                png, final = await asyncio.get_running_loop(
                ).run_in_executor(workers, work)
        headers = {'Cache-Control': 'private, max-age=3600'} if final else {
            'Cache-Control': 'no-store', 'X-Preview': '1'}
        return Response(png, media_type='image/png', headers=headers)

    @app.post('/api/pairs/{key}/lease')
    def post_lease(key: str, body: LeaseBody):
        pair = project.pair(key)
        storage.lease(pair, body.window, body.take)
        return dict(held=True, version=storage.version(pair))

    @app.delete('/api/pairs/{key}/lease')
    def delete_lease(key: str, body: LeaseBody):
        storage.release(project.pair(key), body.window)
        return dict(held=False)

    @app.put('/api/pairs/{key}/document')
    def put_document(key: str, body: DocumentBody):
        pair = project.pair(key)
        info = imagery.info(pair)
        labels = [entry.name for entry in project.classes]
        known = None
        for index, shape in enumerate(body.shapes):
            if shape.label in labels:
                continue
            # A file of labelme may have others; they stay as they are.
            known = known or {shape.label for shape
                              in storage.load(pair)[0].shapes}
            if shape.label not in known:
                raise AnnotationError(
                    f'shapes[{index}].label is {shape.label!r}, expected one '
                    f'of {", ".join(labels)}')
        shapes = [Shape(**shape.model_dump()) for shape in body.shapes]
        version = storage.save(
            pair, body.window, body.base_version, body.state, body.notes,
            shapes, info.grid.width, info.grid.height)
        return dict(version=version)

    @app.post('/api/geometry')
    def post_geometry(body: GeometryBody):
        return _operate(body)

    @app.post('/api/pairs/{key}/drafts')
    def post_draft(key: str, body: DraftBody):
        info = imagery.info(project.pair(key))
        return dict(job=drafts.start(info, body.region).key)

    @app.get('/api/drafts/{job}')
    def get_draft(job: str):
        return drafts.get(job).describe()

    @app.delete('/api/drafts/{job}')
    def delete_draft(job: str):
        return drafts.cancel(job).describe()

    @app.get('/api/drafts/{job}/shapes')
    def get_shapes(job: str, threshold: Optional[float] = None,
                   min_area: float = 0., simplify: float = 1.):
        if threshold is None and inferencer is not None:
            threshold = inferencer.threshold
        return drafts.get(job).shapes(project.classes[0].name, threshold,
                                      min_area, simplify)

    limiter: List[asyncio.Semaphore] = []

    def slots() -> asyncio.Semaphore:
        # Made in the loop that serves.
        if not limiter:
            limiter.append(asyncio.Semaphore(_WORKERS))
        return limiter[0]

    return app


class _Page(StaticFiles):
    """The page's files, asked for again after an update."""

    def file_response(self, *args, **kwargs):
        """Answer with a file that is not kept unasked."""
        response = super().file_response(*args, **kwargs)
        response.headers['Cache-Control'] = 'no-cache'
        return response


class _Counter:
    """How many are inside."""

    def __init__(self):
        self.value = 0
        self._lock = threading.Lock()

    def __enter__(self):
        with self._lock:
            self.value += 1

    def __exit__(self, *error):
        with self._lock:
            self.value -= 1


def _operate(body: GeometryBody) -> dict:
    """Do what a body of ``/api/geometry`` asks for."""

    def cut(polygons):
        if body.size is not None:
            polygons = geometry.clip(polygons, *body.size)
        return polygons

    if body.operation == 'erase':
        found = geometry.erase(body.path, body.radius, body.polygons)
        return dict(results=[cut(polygons) for polygons in found])
    if body.operation == 'brush':
        found = geometry.brush(body.path, body.radius, body.add_to)
    elif body.operation == 'split':
        found = geometry.split(body.rings, body.line)
    elif body.operation == 'merge':
        found = geometry.merge(body.polygons)
    elif body.operation == 'simplify':
        found = geometry.simplify(body.rings, body.tolerance)
    else:
        found = geometry.valid(body.rings)
    return dict(shapes=[dict(rings=rings) for rings in cut(found)])


def _add_error_handlers(app: FastAPI) -> None:
    """Answer every error with one sentence."""

    @app.exception_handler(AnnotationError)
    async def refuse(_, error: AnnotationError):
        details = error.details if isinstance(error, Conflict) else {}
        return _error(error.status, str(error), **details)

    @app.exception_handler(SceneError)
    async def refuse_scene(_, error: SceneError):
        return _error(422, str(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_body(_, error: RequestValidationError):
        first = error.errors()[0]
        # The first part says where of the request.
        place = '.'.join(map(str, first['loc'][1:]))
        text = first['msg']
        return _error(422, f'{place}: {text}' if place else text)

    @app.exception_handler(HTTPException)
    async def refuse_http(_, error: HTTPException):
        return _error(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def fail(_, error: Exception):
        print_log(f'{type(error).__name__}: {error}', 'current')
        return _error(500, f'the server failed: {type(error).__name__}: '
                      f'{error}')
