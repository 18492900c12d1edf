"""A model_dir on an object store: all work is done in a local folder, which is sent there after each phase.

    CACHE/model_dirs/s3/BUCKET/NAME          the folder (utils/cache.py)
    CACHE/model_dirs/s3/BUCKET/.NAME.sent    {path: [version on the store, size, local time]} of files that are equal

At the start the folder becomes equal to the store: files that another machine has sent are fetched, and what was not
sent before this machine was cut off is sent later, or set aside if the run went on elsewhere. A checkpoint appears on
the store with its .index, after its data, and the files that name checkpoints come last; so whenever a command or a
machine dies, the newest checkpoint on the store is whole.
"""
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from object_detection.utils import cache, console, files, store
from object_detection.utils.errors import UserError

_AT_ONCE = 8  # files that are sent
_UNKNOWN = '', 0, 0  # of files that are being sent or removed: a kill may have come before or after
_NAMING = 'checkpoint', 'best.json', 'run.json'  # files that name others
Sent = dict[str, tuple[str, int, int]]  # {path: (version on the store, size, time of the local file in ns)}


class Local:
    """A model_dir that is a folder of this machine, or one that all machines share: nothing is fetched or sent.

    Attributes:
        folder: to work in.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fetch(self) -> None:
        """Make the folder equal to the store."""

    def send(self) -> None:
        """Make the store equal to the folder."""

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Send when the block ends, however that is."""
        try:
            yield
        except BaseException:
            try:
                self.send()
            except UserError as error:
                console.warn(str(error))
            raise
        self.send()


class Mirror(Local):
    """The working folder of a model_dir on a store.

    Attributes:
        url: of the model_dir.
        folder: to work in.
    """

    def __init__(self, url: str) -> None:
        super().__init__(cache.place('model_dirs', url))
        self.url = url
        self.folder.mkdir(exist_ok=True)
        self._list = self.folder.with_name(f'.{self.folder.name}.sent')

    def fetch(self) -> None:
        """Make the folder equal to the store. Files that were never sent stay if the store is as this machine left it;
        otherwise they are moved to a folder beside it, with a warning. UserError if the store cannot be read."""
        remote, sent, here = store.walk(self.url), self._sent(), self._local()
        settled = {path: version for path, (version, *_) in sent.items() if version}
        if settled.keys() <= here.keys() and settled == {
                path: file.version for path, file in remote.items() if sent.get(path) != _UNKNOWN}:
            return
        unsent = [path for path, stat in here.items() if path not in sent or sent[path][1:] != stat]
        if unsent:
            aside = self.folder.with_name(f'{self.folder.name}.unsent-{time.strftime("%Y%m%d-%H%M%S")}')
            for path in unsent:
                (aside / path).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / path).replace(aside / path)
            console.warn(f'{self.url}: was changed by another machine; {len(unsent)} files that this one had not sent '
                         f'yet are in {aside} now')
        for path in here.keys() & sent.keys() - remote.keys() - set(unsent):
            (self.folder / path).unlink()
        needed = {path: file for path, file in remote.items()
                  if path in unsent or path not in here or path not in sent or sent[path][0] != file.version}
        with cache.progress(list(needed.values()), 'fetching') as add, ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: store.download(needed[path], self.folder / path, add), needed))
        here = self._local()
        self._keep({path: (file.version, *here[path]) for path, file in remote.items()})

    def send(self) -> None:
        """Make the store equal to the folder. UserError if another command has written to the store meanwhile, or it
        cannot be written to."""
        remote, sent, here = store.walk(self.url), self._sent(), self._local()
        others = [path for path, file in remote.items() if path not in sent or sent[path][0] not in ('', file.version)]
        if others:
            raise UserError(f'{self.url}: another command writes there ({", ".join(sorted(others)[:3])}); this one '
                            f'works in {self.folder}, where its files are. End one, and start the other again')
        changed = [path for path, stat in here.items() if path not in sent or sent[path][1:] != stat]
        # A checkpoint that was written anew is incomplete until its .index comes again.
        broken = {f'{path.partition(".data-")[0]}.index' for path in changed if '.data-' in path} & remote.keys()
        if not here and sent:
            raise UserError(f'{self.folder}: was deleted while the command worked there; {self.url} stays as it is')
        gone = sent.keys() - here.keys()
        changed = [path for path in here if path in broken or path in changed]
        sent.update(dict.fromkeys([*gone, *changed], _UNKNOWN))
        self._keep(sent)
        for path in sorted(broken | gone, key=lambda path: not path.endswith('.index')):
            store.remove(f'{self.url}/{path}')
        for path in gone:
            sent.pop(path)
        moved = [store.Object(f'{self.url}/{path}', here[path][0], '') for path in changed]
        with cache.progress(moved, 'sending') as add, ThreadPoolExecutor(_AT_ONCE) as pool:
            for stage in _stages(changed):
                def put(path: str, add: Callable[[int], object] = add) -> None:
                    stored = store.upload(self.folder / path, f'{self.url}/{path}')
                    add(here[path][0])
                    sent[path] = stored.version, *here[path]
                try:
                    list(pool.map(put, stage))
                finally:
                    self._keep(sent)

    def _local(self) -> dict[str, tuple[int, int]]:
        """Return {path with /: (size, time)} of the files of the folder; hidden ones are of this machine alone."""
        found = {}
        for path in sorted(self.folder.rglob('*')):
            relative = path.relative_to(self.folder)
            if path.is_file() and not any(part.startswith('.') for part in relative.parts):
                found[relative.as_posix()] = path.stat().st_size, path.stat().st_mtime_ns
        return found

    def _sent(self) -> Sent:
        try:
            known = json.loads(self._list.read_text(encoding='utf-8'))
            return {path: (version, size, when) for path, (version, size, when) in known.items()}
        except (OSError, ValueError):
            return {}

    def _keep(self, sent: Sent) -> None:
        files.write_text(self._list, json.dumps(sent))


def _stages(paths: Iterable[str]) -> list[list[str]]:
    """Divide files into those that may be sent at the same time: what others name comes before them."""
    stages: list[list[str]] = [[], [], []]
    for path in paths:
        name = path.rpartition('/')[2]
        stages[2 if name in _NAMING else 1 if name.endswith('.index') else 0].append(path)
    return stages


def of(model_dir: Path) -> Local:
    """Return where to work for a model_dir, a path or a URL; what is on a store is fetched."""
    url = store.url_of(model_dir)
    found = Mirror(url) if url else Local(model_dir)
    found.fetch()
    if url:
        console.log(f'{url}: works in {found.folder}, and sends it after each phase')
    return found
