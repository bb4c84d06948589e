"""A rolling restart of every gateway under connected clients: nobody loses anything, nobody is seen to leave.

With SOAK=1 there are 5,000 of them. The seed is printed, and taken from SEED.
"""

import asyncio
import os
import statistics
import time

from cluster import cluster
from crowd import Crowd
from waiting import eventually

GATEWAYS = ("gateway", "gateway-1", "gateway-2")
CUSTOMERS, AGENTS = (4900, 100) if os.environ.get("SOAK") == "1" else (290, 10)
TALKERS, PACE = 40, 0.02
# From a client's own 1001 until it has all that it missed.
BACK_WITHIN = 15
SETTINGS = {
    "gateway.connections_per_address": 20_000, "presence.agent_capacity": 2 * CUSTOMERS // AGENTS,
    "presence.first_response_ms": 0,
}
# Two of each WebSocket's at nginx.
EDGE = {"EDGE_WORKER_CONNECTIONS": "16000"}


def test_every_gateway_restarted_in_turn(seed):
    with cluster(SETTINGS, gateway=len(GATEWAYS), edge=EDGE) as (stack, _):
        crowd = Crowd(stack, seed, CUSTOMERS, AGENTS, TALKERS, PACE)
        before, after = asyncio.run(roll(crowd))
        assert len(before) == CUSTOMERS and before == after, "who serves whom has changed"
        report(crowd)
        histories = crowd.check(crowd.customers)
        for user, history in histories.items():
            kinds = [entry["type"] for entry in history if entry["type"] != "Chat"]
            assert kinds == ["AgentAssigned"], f"{user}: {kinds}"
        assert crowd.left == [], "nobody has left"


async def roll(crowd):
    """Who served whom before and after."""
    async with asyncio.timeout(900), asyncio.TaskGroup() as group:
        await crowd.arrive(group)
        for client in crowd.customers.values():
            client.say("?hello")
        await crowd.settle(300)
        await eventually(lambda: len(crowd.assignments()) == CUSTOMERS, "everybody is served", 60, interval=0.5)
        before = await asyncio.to_thread(crowd.assignments)
        talk = group.create_task(crowd.converse())
        for name in GATEWAYS:
            process = crowd.stack.processes[name]
            began = time.monotonic()
            assert await asyncio.to_thread(process.stop) == 0
            stopped = time.monotonic()
            await asyncio.to_thread(process.start)
            print(f"{name}: stopped in {stopped - began:.1f} s, up in {time.monotonic() - stopped:.1f} s")
        await eventually(crowd.are_here, crowd.state, 60)
        acknowledged = crowd.acknowledged
        await eventually(lambda: crowd.acknowledged > acknowledged + 50, crowd.state, 60)
        crowd.is_over = True
        await talk
        await crowd.settle(60)
        after = await asyncio.to_thread(crowd.assignments)
        for client in crowd.clients:
            await client.stop()
        return before, after


def report(crowd):
    codes = {code for client in crowd.clients for code, _ in client.outages}
    times = [seconds for client in crowd.clients for _, seconds in client.outages]
    resent = sum(client.resent for client in crowd.clients)
    print(
        f"{len(crowd.clients)} clients, {len(times)} closed with {codes}: back after {statistics.median(times):.2f} s "
        f"(median), {max(times):.2f} s at most; {crowd.acknowledged} messages acknowledged, {resent} sent again"
    )
    assert codes == {1001}
    assert max(times) <= BACK_WITHIN
    assert sum(bool(client.outages) for client in crowd.clients) > 2 * len(crowd.clients) / 3
