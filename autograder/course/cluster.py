"""The tasks of a class run on other machines, by dask.distributed. Every worker needs the kit, and the course's folder.

What goes out is what was handed in, what comes back are JSON bytes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from autograder.course.engine import engine
from autograder.course.submissions import Submission

#: Faults of a worker or of its machine before a submission is given up.
RETRIES = 2


class ClusterError(Exception):
    """The cluster cannot be used; the message says why."""


def graded(todo: list[Submission], bank: Path, level: str, scheduler: str) -> Iterator[tuple[Submission, dict | None, str]]:
    """Yield ``(submission, result, "")`` in the order in which they are done, or ``(submission, None, why)`` where the kit failed.

    Parameters
    ----------
    todo : list of Submission
    bank : Path
        The example bank; it is sent along.
    level : str
        The isolation that every machine must reach.
    scheduler : str
        ``tcp://host:port``.

    Raises
    ------
    ClusterError
        There is no scheduler, or no worker.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise ClusterError("--scheduler needs dask.distributed. Install it: pip install 'handgrad[cluster]'") from None
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise ClusterError(f"there is no scheduler at {scheduler}: {error}. Start one: dask scheduler") from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise ClusterError(f"the scheduler at {scheduler} has no workers. Start some: dask worker {scheduler} --nthreads 1")
        content = client.scatter(bank.read_bytes(), broadcast=True)
        tasks = {client.submit(grade, one, content, level, engine(), retries=RETRIES, pure=False): one for one in todo}
        for task in as_completed(tasks):
            yield tasks[task], *_outcome(task)


def _outcome(task) -> tuple[dict | None, str]:
    try:
        return json.loads(task.result()), ""
    except Exception as error:  # noqa: BLE001  whatever a job raised is that job's outcome
        return None, "".join(traceback.format_exception(error))


# ------------------------------------------------------------------------------------------- on the other machine

_workers: dict[str, object] = {}
# The sandbox ends with the thread that has started it, and dask's own threads come and go.
_thread = ThreadPoolExecutor(1)


def grade(submission: Submission, bank: bytes, level: str, wanted: str) -> bytes:
    """Grade one submission on this machine and return the result as JSON."""
    if wanted != engine():
        raise RuntimeError(f"this machine has the kit {engine()}, but {wanted} is asked for; kit and course have to be the same everywhere")
    return _thread.submit(_grade, submission, bank, level).result()


def _grade(submission, bank, level) -> bytes:
    key = hashlib.sha256(bank).hexdigest()
    if key not in _workers:
        _workers[key] = _worker(bank, level)
    return json.dumps(_workers[key].grade(submission), allow_nan=False).encode()


def _worker(bank, level):
    from autograder.course import isolation, task
    from autograder.course.grading import open_grader

    folder = Path(tempfile.mkdtemp(prefix="handgrad-"))
    path = folder / "bank.npz"
    try:
        path.write_bytes(bank)
        return task.Worker(task.Setting(path, isolation.required(level), open_grader))
    finally:
        path.unlink(missing_ok=True)
        folder.rmdir()
