"""Every connection ends, by a rolling restart of all gateways or all at once: nobody loses anything, nobody is seen to
leave.

With SOAK=1 there are 5,000 clients. The seed is printed, and taken from SEED.
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
# Of each gateway: so few that a tenth of the clients may come at once.
HANDSHAKES_PER_SECOND = (CUSTOMERS + AGENTS) // 10 // len(GATEWAYS)
# A second less than the default: the clients may notice later than the gateway that they are away.
LEAVE_GRACE = 4
# Whoever comes too fast is told to come again within 5 s, more than once if need be.
STORM_OVER_WITHIN = 30


def test_every_gateway_restarted_in_turn(seed):
    with cluster(SETTINGS, gateway=len(GATEWAYS), edge=EDGE) as (stack, _):
        crowd = Crowd(stack, seed, CUSTOMERS, AGENTS, TALKERS, PACE, is_lean=True)
        check_all(crowd, asyncio.run(converse_during(restart_each, crowd)))
        codes, times = report(crowd)
        assert set(codes) == {1001}
        assert times[-1] <= BACK_WITHIN
        assert len(times) > 2 * len(crowd.clients) / 3
        assert crowd.left == [], "nobody has left"


def test_every_connection_dropped_at_once(seed):
    settings = SETTINGS | {"gateway.handshakes_per_second": HANDSHAKES_PER_SECOND}
    with cluster(settings, gateway=len(GATEWAYS), edge=EDGE) as (stack, _):
        crowd = Crowd(stack, seed, CUSTOMERS, AGENTS, TALKERS, PACE, is_lean=True)
        check_all(crowd, asyncio.run(converse_during(drop_all, crowd)))
        codes, times = report(crowd)
        assert set(codes) == {1006}
        assert len(times) == len(crowd.clients)
        assert times[-1] <= STORM_OVER_WITHIN
        late = {one.user_id for one in crowd.clients if any(seconds > LEAVE_GRACE for _, seconds in one.outages)}
        assert {user for _, user in crowd.left} <= late, "who was back in time has not left"
        in_a_second = len(GATEWAYS) * HANDSHAKES_PER_SECOND
        assert crowd.refusals > in_a_second, "the storm was to be larger than what is let in at once"
        for second in range(1, int(times[-1]) + 1):
            # As many at once as in a second, and all of them in each second after the first.
            assert sum(one <= second for one in times) <= in_a_second * (1 + second), f"within {second} s"


def check_all(crowd, serving):
    began = time.monotonic()
    assert len(serving) == CUSTOMERS
    for user, history in crowd.check(crowd.customers).items():
        routed = [(entry["type"], entry["agent_id"]) for entry in history if entry["type"] != "Chat"]
        assert routed == [("AgentAssigned", serving[user])], f"{user}: {routed}"
    print(f"all logs read over REST and compared in {time.monotonic() - began:.1f} s")


async def restart_each(crowd):
    for name in GATEWAYS:
        process = crowd.stack.processes[name]
        began = time.monotonic()
        assert await asyncio.to_thread(process.stop) == 0
        stopped = time.monotonic()
        await asyncio.to_thread(process.start)
        print(f"{name}: stopped in {stopped - began:.1f} s, up in {time.monotonic() - stopped:.1f} s")


async def drop_all(crowd):
    """The edge dies, and is back at once."""
    before = crowd.refusals
    nginx = crowd.stack.processes["nginx"]
    await asyncio.to_thread(nginx.kill)
    await asyncio.to_thread(nginx.start)
    await eventually(lambda: all(client.outages for client in crowd.clients), crowd.state, 60)
    print(f"{crowd.refusals - before} handshakes refused")


async def converse_during(disturb, crowd):
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
        await disturb(crowd)
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
    """How often each close code came, and the seconds after which the clients were back."""
    codes = collections.Counter(code for client in crowd.clients for code, _ in client.outages)
    times = sorted(seconds for client in crowd.clients for _, seconds in client.outages)
    print(
        f"{len(crowd.clients)} clients, closed by codes {dict(codes)}: back after {statistics.median(times):.2f} s "
        f"(median), {times[len(times) * 99 // 100]:.2f} s (p99), {times[-1]:.2f} s at most; handshakes refused: "
        f"{crowd.refusals}; the clients' own process was late by {crowd.lag:.2f} s at most\n{crowd.acknowledged} "
        f"messages acknowledged, {sum(client.resent for client in crowd.clients)} sent again; other frames: "
        f"{dict(crowd.heard)}"
    )
    return codes, times
