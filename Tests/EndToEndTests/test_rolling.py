"""A rolling restart of every gateway under connected clients: nobody loses anything, nobody is seen to leave.

With SOAK=1 there are 5,000 of them. The seed is printed, and taken from SEED.
"""

import asyncio
import collections
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
        crowd = Crowd(stack, seed, CUSTOMERS, AGENTS, TALKERS, PACE, is_lean=True)
        serving = asyncio.run(roll(crowd))
        report(crowd)
        began = time.monotonic()
        assert len(serving) == CUSTOMERS
        for user, history in crowd.check(crowd.customers).items():
            routed = [(entry["type"], entry["agent_id"]) for entry in history if entry["type"] != "Chat"]
            assert routed == [("AgentAssigned", serving[user])], f"{user}: {routed}"
        print(f"all logs read over REST and compared in {time.monotonic() - began:.1f} s")
        assert crowd.left == [], "nobody has left"


async def roll(crowd):
    """Who serves whom at the end."""
    async with asyncio.timeout(900), asyncio.TaskGroup() as group:
        began = time.monotonic()
        await crowd.arrive(group)
        arrived = time.monotonic()
        for client in crowd.customers.values():
            client.say("?hello")
        await crowd.settle(300, crowd.are_answered)
        print(f"all here after {arrived - began:.1f} s, all answered {time.monotonic() - arrived:.1f} s later")
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
        await crowd.settle(60, crowd.are_answered)
        serving = await asyncio.to_thread(crowd.assignments)
        for client in crowd.clients:
            await client.stop()
        return serving


def report(crowd):
    codes = collections.Counter(code for client in crowd.clients for code, _ in client.outages)
    times = sorted(seconds for client in crowd.clients for _, seconds in client.outages)
    moved = sum(bool(client.outages) for client in crowd.clients)
    resent, refusals = (sum(getattr(client, name) for client in crowd.clients) for name in ("resent", "refusals"))
    print(
        f"{len(crowd.clients)} clients, {moved} of them closed, by codes {dict(codes)}: back after "
        f"{statistics.median(times):.2f} s (median), {times[len(times) * 99 // 100]:.2f} s (p99), {times[-1]:.2f} s at "
        f"most; handshakes refused: {refusals}; the clients' own process was late by {crowd.lag:.2f} s at most\n"
        f"{crowd.acknowledged} messages acknowledged, {resent} sent again; other frames: {dict(crowd.heard)}"
    )
    assert set(codes) == {1001}
    assert times[-1] <= BACK_WITHIN
    assert moved > 2 * len(crowd.clients) / 3
