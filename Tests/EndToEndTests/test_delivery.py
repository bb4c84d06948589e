"""Every acknowledged message is seen once and in order by both sides, whatever happens to their connections.

Fifty customers and five agents, some with two devices, drop and come back at random while they write to each other;
the second test kills the gateway on top of that. What each connection may be sent is asserted by `AsyncClient`. The
seed is printed, and taken from SEED; SOAK=1 makes both five times as long.
"""

import asyncio
import collections
import os
import random

from async_client import AsyncClient, running, seen
from stack import stack_with
from waiting import eventually

CUSTOMERS, AGENTS = 50, 5
LENGTH = 5 if os.environ.get("SOAK") == "1" else 1
TOTAL = 20_000 * LENGTH
# Customers who say much more than the others: who stays away from them misses more than a `Sync` makes good.
BUSY = 2
SETTINGS = {
    "gateway.message_rate": 1_000_000, "gateway.message_burst": 1_000_000, "presence.agent_capacity": CUSTOMERS,
}
SYNC_SPAN = 1000


def lifetime(rng):
    """Entries and Acks after which a client drops its connection."""
    return rng.randint(10, 150)


def away(rng):
    """Seconds that it then stays away."""
    return rng.choice([0, 0, rng.uniform(0, 0.1), rng.uniform(0, 0.6)])


class Flow:
    """Customers write so many messages each, and their agent answers every one."""

    def __init__(self, stack, seed, counts):
        self.stack, self.counts = stack, dict()
        customers, agents = stack.sessions(len(counts), AGENTS)
        rng = random.Random(seed)

        def device(login, name, **options):
            own = random.Random(rng.getrandbits(64))
            return AsyncClient(stack.port, login, own, name, lifetime=lifetime, away=away, **options)

        # Who has several devices says nothing of what was delivered: each device then gets everything.
        self.customers = {}
        for index, (login, count) in enumerate(zip(customers, counts)):
            several = index % 4 == 0
            self.counts[login["user_id"]] = count
            self.customers[login["user_id"]] = [
                device(login, name, receipts_every=None if several else 7) for name in ("a", "b")[:1 + several]
            ]
        self.agents = {}
        for index, login in enumerate(agents):
            names = ("a", "b")[:1 + (index < 2)]
            self.agents[login["user_id"]] = [
                device(
                    login, name, window=32, receipts_every=None if len(names) > 1 else 13,
                    on_entry=self._answer(share, len(names)),
                )
                for share, name in enumerate(names)
            ]
        # One device comes when the conversation has long been going on.
        self.late = self.customers[customers[0]["user_id"]][1]

    @staticmethod
    def _answer(share, devices):
        """An agent's devices answer what customers say, every one its share."""

        def on_entry(client, frame):
            customer = frame["from_user_id"]
            is_ours = frame["type"] == "Chat" and frame["conversation_id"] == f"c:{customer}"
            if is_ours and frame["seq"] % devices == share:
                client.say(f"answer to {frame['content']}", to=customer, client_id=f"{customer}.{frame['seq']}")

        return on_entry

    @property
    def devices(self):
        return [device for devices in [*self.customers.values(), *self.agents.values()] for device in devices]

    @property
    def total(self):
        return 2 * sum(self.counts.values())

    @property
    def acknowledged(self):
        return sum(len(device.acks) for device in self.devices)

    def speak(self):
        """All customers begin; who has two devices speaks from both."""
        for user, count in self.counts.items():
            devices = [device for device in self.customers[user] if device is not self.late]
            for number in range(count):
                devices[number % len(devices)].say(f"message {number} of {user}")

    # How far it is

    def head(self, user):
        """The last `seq` of a customer's conversation at the end: their messages, the answers, the assignment."""
        return 2 * self.counts[user] + 1

    def agent_of(self, user):
        """The agent who answers the customer; None as long as the customer does not know."""
        entries = self.customers[user][0].seen.get(f"c:{user}", {})
        assigned = {entry.content for entry in entries.values() if entry.type == "AgentAssigned"}
        assert len(assigned) <= 1, f"{user} was assigned to {assigned}"
        return next(iter(assigned), None)

    def is_done(self):
        return all(not device.outbox for device in self.devices) and all(
            device.count(f"c:{user}") == self.head(user)
            for user in self.counts for device in [*self.customers[user], *self.agents.get(self.agent_of(user), [])]
        )

    def state(self):
        short = {
            device.name: f"{device.count(f'c:{user}')} of {self.head(user)}, {len(device.outbox)} unacknowledged"
            for user in self.counts for device in self.customers[user]
            if device.count(f"c:{user}") != self.head(user) or device.outbox
        }
        return f"{self.acknowledged} of {self.total} acknowledged; {short}"

    # Running

    async def run(self, timeout, meanwhile=None):
        agents = [device for devices in self.agents.values() for device in devices]
        early = [device for devices in self.customers.values() for device in devices if device is not self.late]
        async with asyncio.timeout(timeout + 30):
            async with running(agents) as group:
                await self._agents_online()
                for client in early:
                    group.create_task(client.run())
                self.speak()
                other = group.create_task(meanwhile(self)) if meanwhile else None
                user = self.late.user_id
                missed = min(SYNC_SPAN + 300, self.head(user) * 2 // 3)
                await eventually(lambda: early[0].count(f"c:{user}") >= missed, self.state, timeout)
                group.create_task(self.late.run())
                await eventually(self.is_done, self.state, timeout)
                if other is not None:
                    await other
                for client in [*early, self.late]:
                    await client.stop()

    async def _agents_online(self):
        session = next(iter(self.agents.values()))[0].login["session_id"]

        def online():
            answer = self.stack.http("GET", "/api/presence?user_type=Kefu", session=session)
            return answer.status == 200 and {user["user_id"] for user in answer.json["users"]} >= set(self.agents)

        await eventually(online, "all agents are online")

    # What has to be true at the end

    def check(self):
        served = collections.Counter()
        for user in self.counts:
            agent = self.agent_of(user)
            served[agent] += 1
            login = self.customers[user][0].login
            history = self.stack.history(login["session_id"], f"conversation_id=c:{user}")
            self._check_history(user, agent, history)
            entries = {entry["seq"]: seen(entry) for entry in history}
            for device in [*self.customers[user], *self.agents[agent]]:
                assert device.seen[f"c:{user}"] == entries, f"{device.name} saw another conversation c:{user}"
            for device in [*self.customers[user], *self.agents[agent]]:
                for client_id, ack in device.acks.items():
                    if ack["conversation_id"] == f"c:{user}":
                        entry = history[ack["seq"] - 1]
                        assert (entry["id"], entry["client_id"], entry["timestamp"], entry["from_user_id"]) == (
                            ack["id"], client_id, ack["timestamp"], device.user_id
                        )
            for other, devices in self.agents.items():
                if other != agent:
                    assert not any(f"c:{user}" in device.seen for device in devices), f"{other} saw c:{user}"
        assert set(served) == set(self.agents), f"not all agents had something to do: {served}"
        assert self.acknowledged == self.total
        for device in self.devices:
            device.check_order_of_own()
            assert {*device.sent} == {*device.acks}, device.name

    def _check_history(self, user, agent, history):
        assert [entry["seq"] for entry in history] == list(range(1, self.head(user) + 1))
        kinds = collections.Counter(entry["type"] for entry in history)
        assert kinds == {"Chat": 2 * self.counts[user], "AgentAssigned": 1}, (user, kinds)
        said = collections.defaultdict(list)
        for entry in history:
            if entry["type"] == "Chat":
                said[entry["from_user_id"]].append(entry["content"])
        mine = [f"message {number} of {user}" for number in range(self.counts[user])]
        assert sorted(said[user]) == sorted(mine), f"c:{user}: not each of the customer's messages once"
        answers = [f"answer to {content}" for content in mine]
        assert sorted(said[agent]) == sorted(answers), f"c:{user}: not each of the agent's messages once"


def counts_for(total):
    """How many messages each customer says so that with the answers there are `total`."""
    rest = 3 * total // 4 // 2 // (CUSTOMERS - BUSY)
    busy = (total // 2 - rest * (CUSTOMERS - BUSY)) // BUSY
    counts = [busy] * BUSY + [rest] * (CUSTOMERS - BUSY)
    assert 2 * sum(counts) == total
    return counts


def run_flow(seed, total, timeout, meanwhile=None):
    with stack_with(SETTINGS) as stack:
        flow = Flow(stack, seed, counts_for(total))
        asyncio.run(flow.run(timeout, meanwhile))
        flow.check()
        connections = sum(device.connections for device in flow.devices)
        resent = sum(device.resent for device in flow.devices)
        print(f"{connections} connections of {len(flow.devices)} devices, {resent} messages sent again")
        assert all(device.connections > 1 for device in flow.devices if device is not flow.late)
        assert connections > 4 * len(flow.devices)
        return flow, resent


def test_twenty_thousand_messages_while_everybody_drops_and_comes_back(seed):
    flow, _ = run_flow(seed, TOTAL, timeout=120 * LENGTH)
    assert flow.late.gaps >= 1, "the device that came late was to be shown a gap"


def test_the_same_while_the_gateway_is_killed_every_few_seconds(seed):
    kills = 8 * LENGTH

    async def kill(flow):
        """Kills the gateway whenever a further part of the messages is acknowledged, and starts it again."""
        for number in range(1, kills + 1):
            await eventually(lambda: flow.acknowledged >= flow.total * number // (kills + 1), flow.state, 120)
            await asyncio.to_thread(flow.stack.gateway.kill)
            await asyncio.to_thread(flow.stack.gateway.start)

    _, resent = run_flow(seed, TOTAL, timeout=180 * LENGTH, meanwhile=kill)
    assert resent > 0, "no kill has cost an Ack"
