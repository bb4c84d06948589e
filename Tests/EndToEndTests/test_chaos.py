"""Every five seconds a random process is killed with kill -9 and started again, while a hundred people converse.

Three gateways, two each of auth, presence and files, Redis and nginx. At the end DESIGN's invariants 1 to 4, 6 and 8
are checked, and it is printed how long it took from each start to the next `Ack`. With SOAK=1 it takes ten minutes.
The seed is printed, and taken from SEED.
"""

import asyncio
import collections
import contextlib
import os
import statistics
import time

from cluster import cluster
from crowd import Crowd
from routing import act, decisions, listed
from waiting import eventually

SECONDS = int(os.environ.get("CHAOS_SECONDS") or (600 if os.environ.get("SOAK") == "1" else 30))
KILL_EVERY = 5
CUSTOMERS, AGENTS, CAPACITY, PACE = 88, 12, 5, 0.05
COUNTS = {"gateway": 3, "auth": 2, "presence": 2, "files": 2}
# The decisions that are entries of their conversation's log, and these entries' types.
LOGGED = {"assigned": "AgentAssigned", "transferred": "Transferred", "closed": "ConversationClosed"}
SETTINGS = {"presence.agent_capacity": CAPACITY, "presence.first_response_ms": 0}


def test_random_processes_killed(seed):
    with cluster(SETTINGS, **COUNTS) as (stack, redis):
        crowd = Crowd(stack, seed, CUSTOMERS, AGENTS, CUSTOMERS, PACE)
        chaos = Chaos(crowd, {**stack.processes, "redis": redis})
        chaos.victims.pop("proxy")
        asyncio.run(chaos.run())
        chaos.report()
        histories = crowd.check(crowd.customers)
        decided = {user: decisions(stack, crowd.admin, f"c:{user}") for user in crowd.customers}
        for user, history in histories.items():
            logged = [entry["client_id"] for entry in history if entry["type"] in LOGGED.values()]
            assert logged == [one["decision_id"] for one in decided[user] if one["kind"] in LOGGED], user
        check_capacity(decided.values())


class Chaos:
    def __init__(self, crowd, victims):
        self.crowd, self.victims = crowd, victims
        self.recoveries = collections.defaultdict(list)
        self.closed = self.most_at_once = 0

    async def run(self):
        crowd = self.crowd
        async with asyncio.timeout(SECONDS + 300), asyncio.TaskGroup() as group:
            await crowd.arrive(group)
            tasks = [group.create_task(crowd.converse()), group.create_task(self.close_some())]
            await self.kill_some()
            crowd.is_over = True
            for task in tasks:
                await task
            await self.serve_everybody()
            await self.repeat()
            for client in crowd.clients:
                await client.stop()

    async def kill_some(self):
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            # The interval is the load, and no wait for anything.
            await asyncio.sleep(KILL_EVERY)
            name = self.crowd.rng.choice(sorted(self.victims))
            await asyncio.to_thread(self.victims[name].kill)
            await asyncio.to_thread(self.victims[name].start)
            started, before = time.monotonic(), self.crowd.acknowledged
            await eventually(lambda: self.crowd.acknowledged > before, f"an Ack after {name}: {self.crowd.state()}", 60)
            self.recoveries[name.partition("-")[0]].append(time.monotonic() - started)

    async def close_some(self):
        """Closes what is open, now and then, so that there is always something to route."""
        while not self.crowd.is_over:
            await asyncio.sleep(0.3)
            await self.close_one("open")

    async def close_one(self, state):
        """One of those; whether there was any. What cannot be asked or done now is tried another time."""
        with contextlib.suppress(OSError, AssertionError):
            found = await asyncio.to_thread(listed, self.crowd.stack, self.crowd.admin, f"scope=all&state={state}")
            counts = collections.Counter(one["agent_id"] for one in found)
            self.most_at_once = max([self.most_at_once, *counts.values()])
            if not found:
                return False
            conversation = self.crowd.rng.choice(found)["conversation_id"]
            answer = await asyncio.to_thread(act, self.crowd.stack, self.crowd.admin, "close", conversation)
            self.closed += answer.status == 200
        return True

    async def serve_everybody(self):
        """Invariant 8: whoever waits gets an agent as places become free; in the end nobody waits."""
        await self.crowd.settle(90)

        def waiting():
            return listed(self.crowd.stack, self.crowd.admin, "scope=all&state=queued")

        async def nobody_waits():
            if await asyncio.to_thread(waiting):
                return not await self.close_one("open")
            return True

        await eventually(nobody_waits, "nobody waits", 120, interval=0.1)
        assert not await asyncio.to_thread(waiting), "somebody waits, and nobody is served"
        await self.crowd.settle(60)

    async def repeat(self):
        """Invariant 4: whatever is said again is acknowledged as before; `AsyncClient` compares."""
        for client in self.crowd.clients:
            for client_id in self.crowd.rng.sample(sorted(client.sent), min(3, len(client.sent))):
                client.repeat(client_id)
        await self.crowd.settle(60)

    def report(self):
        for name, times in sorted(self.recoveries.items()):
            print(
                f"{name}: killed {len(times)} times, the next Ack after {statistics.median(times):.2f} s (median), "
                f"{max(times):.2f} s at most"
            )
        resent = sum(client.resent for client in self.crowd.clients)
        print(
            f"{self.crowd.acknowledged} acknowledged, {resent} sent again, {self.closed} conversations closed, "
            f"at most {self.most_at_once} served by one agent"
        )


def check_capacity(histories):
    """Invariant 6: routing gave nobody more at once than they take, in the order in which it decided.

    The log has the same decisions, but those of two conversations may get there in another order. Who writes to a
    conversation that was closed meanwhile takes it, however much they have.
    """
    changes = []
    for history in histories:
        agent = None
        for decision in history:
            if decision["kind"] not in LOGGED:
                continue
            if agent is not None:
                changes.append((decision["at"], -1, agent, None))
            agent = decision.get("agent_id")
            if agent is not None:
                changes.append((decision["at"], 1, agent, decision["reason"]))
    load = collections.Counter()
    for at, change, agent, reason in sorted(changes, key=lambda change: change[:3]):
        load[agent] += change
        is_given = change > 0 and reason != "agent_wrote"
        assert not is_given or load[agent] <= CAPACITY, f"{agent} had {load[agent]} at {at} ({reason})"
