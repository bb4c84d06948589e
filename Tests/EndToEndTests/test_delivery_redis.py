"""With the message log in Redis: what was acknowledged is there, once and in order, through any kill.

The flow is that of `test_delivery`; Redis is killed in it as well as the gateway, both under load. The seed is printed,
and taken from SEED.
"""

import asyncio
import contextlib
import tempfile
from pathlib import Path

from redis_server import RedisServer
from stack import Stack
from test_delivery import LENGTH, SETTINGS, Flow, counts_for
from waiting import eventually

TOTAL = 10_000 * LENGTH


@contextlib.contextmanager
def stack_on_redis():
    """A stack whose gateway keeps its log in a Redis of its own, and that Redis."""
    with tempfile.TemporaryDirectory() as directory, RedisServer(Path(directory)) as redis:
        stack = Stack(SETTINGS)
        stack.gateway.environment = {**stack.environment, "STORE": redis.url}
        try:
            yield stack.start(), redis
            statuses = stack.stop()
            assert set(statuses.values()) == {0}, statuses
            assert stack.leaks() == []
        except BaseException:
            stack.print_logs()
            raise
        finally:
            stack.remove()


def run_flow(seed, disturb=None):
    """The flow with a disturbance whenever a further part of the messages is acknowledged."""
    with stack_on_redis() as (stack, redis):
        flow = Flow(stack, seed, counts_for(TOTAL))

        async def meanwhile(flow):
            kills = 8 * LENGTH
            for number in range(1, kills + 1):
                await eventually(lambda: flow.acknowledged >= flow.total * number // (kills + 1), flow.state, 120)
                await asyncio.to_thread(disturb, number, stack, redis)

        asyncio.run(flow.run(180 * LENGTH, meanwhile if disturb else None))
        flow.check()
        assert redis.command("DBSIZE") != "0", "the log is not in Redis"
        return sum(device.resent for device in flow.devices)


def test_ten_thousand_messages_while_everybody_drops_and_comes_back(seed):
    run_flow(seed)


def test_the_same_while_redis_and_the_gateway_are_killed_in_turn(seed):
    def kill(number, stack, redis):
        victim = redis if number % 2 else stack.gateway
        victim.kill()
        victim.start()

    assert run_flow(seed, kill) > 0, "no kill has cost an Ack"
