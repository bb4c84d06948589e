"""Waiting for conditions, never for time."""

import asyncio
import inspect
import time


class Timeout(AssertionError):
    pass


def until(condition, what, timeout=10.0, interval=0.02):
    """Calls `condition` until it returns something true, and returns that.

    An exception of the kinds that a service which is not up yet causes counts as "not yet".
    """
    deadline = time.monotonic() + timeout
    last = None
    while True:
        try:
            result = condition()
            if result:
                return result
            last = result
        except (OSError, AssertionError, EOFError) as error:
            last = error
        if time.monotonic() >= deadline:
            raise Timeout(f"{what}: not within {timeout} s; last seen: {last!r}")
        time.sleep(interval)


async def eventually(condition, what, timeout=30.0, interval=0.02):
    """The same among coroutines: `condition` may be one; `what` may be called, for how things stand at the end."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        if time.monotonic() >= deadline:
            raise Timeout(f"{what() if callable(what) else what}: not within {timeout} s")
        await asyncio.sleep(interval)
