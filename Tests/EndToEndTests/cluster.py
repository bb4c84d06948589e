"""A stack of several gateways, and of several of whatever else, on a Redis of its own."""

import contextlib
import pathlib
import tempfile

from redis_server import RedisServer
from stack import stack_with


@contextlib.contextmanager
def cluster(settings=None, **options):
    """The stack and its Redis; `options` are those of `Stack`, such as `gateway=3`."""
    with tempfile.TemporaryDirectory() as directory, RedisServer(pathlib.Path(directory)) as redis:
        with stack_with(settings, environment={"STORE": redis.url}, **options) as stack:
            yield stack, redis


def restart(process):
    """kill -9, and on again."""
    process.kill()
    process.start()


def restore(stack):
    """All run."""
    for process in stack.processes.values():
        if not process.running:
            process.child = None
            process.start()
