"""Customers and the agents who serve them, who converse at a pace while something is done to the stack."""

import asyncio
import collections
import concurrent.futures
import contextlib
import inspect
import random
import time

from async_client import AsyncClient, seen
from routing import conversation_of, listed
from waiting import eventually


class Crowd:
    """`pace` seconds lie between two messages of all `talkers` together; whoever serves them answers every one.

    `is_lean`: as `AsyncClient` has it.
    """

    def __init__(self, stack, seed, customers, agents, talkers, pace, is_lean=False):
        self.stack, self.pace, self.is_over = stack, pace, False
        self.rng, self.is_lean = random.Random(seed), is_lean
        self.admin = stack.login("support001")
        logins = stack.sessions(customers, agents)
        self.customers, self.agents = [
            {login["user_id"]: self._device(login) for login in kind} for kind in logins
        ]
        for agent in self.agents.values():
            agent.window, agent.on_entry = 32, self._answer
            # They come to a conversation where it was opened last.
            agent.begins_at_one = False
        self.talkers = list(self.customers.values())[:talkers]
        # Who was told that something cannot be done now, and tried again: out of order with what they said meanwhile.
        self.refused = set()
        # Who an agent was told has left.
        self.left = []
        # How many frames of each type came that are neither entries nor Acks, to all.
        self.heard = collections.Counter()
        # The longest that this process has kept a client from its frames, in seconds.
        self.lag = 0

    def _device(self, login):
        own = random.Random(self.rng.getrandbits(64))
        return AsyncClient(
            self.stack.port, login, own, "a", receipts_every=5, on_frame=self._hear, is_lean=self.is_lean
        )

    def _hear(self, client, frame):
        self.heard[frame["type"]] += 1
        if frame["type"] == "Error":
            assert frame["code"] == "unavailable" and frame.get("client_id") in client.outbox, (client.name, frame)
            self.refused.add(client.name)
            client.again(frame["client_id"])
        if frame["type"] == "UserLeft":
            self.left.append((client.user_id, frame["user_id"]))

    @staticmethod
    def _answer(client, frame):
        customer = frame["from_user_id"]
        if frame["type"] == "Chat" and frame["conversation_id"] == f"c:{customer}" and frame["content"].startswith("?"):
            client.say(f"to {frame['content']}", to=customer, client_id=f"{customer}.{frame['seq']}")

    @property
    def clients(self):
        return [*self.customers.values(), *self.agents.values()]

    @property
    def acknowledged(self):
        return sum(len(client.acks) for client in self.clients)

    @property
    def refusals(self):
        """Handshakes that were to be tried again later."""
        return sum(client.refusals for client in self.clients)

    def state(self):
        owed = {client.name: len(client.outbox) for client in self.clients if client.outbox}
        away = [client.name for client in self.clients if not client.ready.is_set()]
        return f"{self.acknowledged} acknowledged; not yet: {owed}; {len(away)} away: {away[:5]}"

    def are_here(self):
        return all(client.ready.is_set() for client in self.clients)

    async def converse(self):
        """Until `is_over`."""
        number = 0
        while not self.is_over:
            client = self.rng.choice(self.talkers)
            client.say(f"?{number}")
            number += 1
            # The pace is the load, and no wait for anything.
            pause, began = self.pace * self.rng.uniform(0.5, 1.5), time.monotonic()
            await asyncio.sleep(pause)
            self.lag = max(self.lag, time.monotonic() - began - pause)

    async def arrive(self, group):
        """The agents first, in such numbers at once as a second brings, and then the customers."""
        for kind in (self.agents, self.customers):
            for client in kind.values():
                group.create_task(client.run())
                await asyncio.sleep(0.002)
            await eventually(self._all_ready(kind), self.state, 180, interval=0.1)
            if kind is self.agents:
                await eventually(self._agents_online, "all agents are online", 60, interval=0.2)

    @staticmethod
    def _all_ready(kind):
        return lambda: all(client.ready.is_set() for client in kind.values())

    async def _agents_online(self):
        path = "/api/presence?user_type=Kefu&limit=200"
        answer = await asyncio.to_thread(self.stack.http, "GET", path, session=self.admin["session_id"])
        return answer.status == 200 and {user["user_id"] for user in answer.json["users"]} >= set(self.agents)

    async def settle(self, timeout, has_all=None):
        """Everybody is here and has all that was said, everything was acknowledged, and nobody goes on to say more.

        What has been said is asked over REST, unless `has_all` knows it otherwise.
        """
        before, has_all = None, has_all or (lambda: asyncio.to_thread(self._have_all))

        async def is_settled():
            nonlocal before
            before, last = self.acknowledged, before
            if last != before or not self.are_here() or any(client.outbox for client in self.clients):
                return False
            result = has_all()
            return await result if inspect.isawaitable(result) else result

        await eventually(is_settled, self.state, timeout, interval=1)

    def are_answered(self):
        """Each customer has as many answers as they have asked questions.

        While nobody closes or transfers anything this is all that there is to come.
        """
        return all(
            len(client.sent) == sum(
                entry.type == "Chat" and entry.content.startswith("to ?")
                for entry in client.seen.get(f"c:{user}", {}).values()
            )
            for user, client in self.customers.items()
        )

    def _have_all(self):
        with contextlib.suppress(AssertionError, OSError):
            heads = {
                one["conversation_id"]: one["head"]
                for state in ("open", "queued", "closed")
                for one in listed(self.stack, self.admin, f"scope=all&state={state}")
            }
            return all(
                client.count(f"c:{user}") == heads.get(f"c:{user}", 0) for user, client in self.customers.items()
            )
        return False

    def assignments(self):
        """Who serves each customer, by what the REST route says."""
        found = listed(self.stack, self.admin, "scope=all&state=open")
        return {one["customer_id"]: one["agent_id"] for one in found if one["customer_id"] is not None}

    def history(self, user):
        client = self.customers[user]
        return self.stack.history(client.login["session_id"], f"conversation_id={conversation_of(client.login)}")

    def check(self, users):
        """DESIGN's invariants 1, 2 and 4 in these customers' conversations; their histories."""
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            histories = dict(zip(users, pool.map(self.history, users)))
        for user, history in histories.items():
            assert [entry["seq"] for entry in history] == list(range(1, len(history) + 1)), user
            entries = {entry["seq"]: seen(entry) for entry in history}
            other = self.customers[user].seen.get(f"c:{user}", {}).items() ^ entries.items()
            assert not other, f"{user} saw another conversation: {sorted(other)[:6]}"
            by_sender = [(entry["from_user_id"], entry["client_id"]) for entry in history if entry["type"] == "Chat"]
            assert len(by_sender) == len(set(by_sender)), f"something is twice in c:{user}"
            for agent in self.agents.values():
                for seq, entry in agent.seen.get(f"c:{user}", {}).items():
                    assert entry == entries[seq], f"{agent.name} saw another {seq} of c:{user}"
        for client in self.clients:
            if client.name not in self.refused:
                client.check_order_of_own()
            assert set(client.sent) == set(client.acks), client.name
            for client_id, ack in client.acks.items():
                history = histories.get(ack["conversation_id"].removeprefix("c:"))
                if history is not None:
                    entry = history[ack["seq"] - 1]
                    assert (entry["id"], entry["client_id"], entry["timestamp"], entry["from_user_id"]) == (
                        ack["id"], client_id, ack["timestamp"], client.user_id
                    ), f"{client.name}: {client_id} is not in the log as acknowledged"
        return histories
