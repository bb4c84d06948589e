"""A thousand customers at once on ten agents who take five each, and agents who drop out and come back."""

import asyncio
import collections
import concurrent.futures
import contextlib
import random

from async_client import AsyncClient, running
from http_client import assert_problem
from routing import act, conversation_of, decisions, listed
from stack import stack_with
from waiting import eventually

CUSTOMERS, AGENTS, CAPACITY = 1000, 10, 5
# Customers who have been served when the first agents drop out.
UNDISTURBED = 400
SETTINGS = {
    "gateway.connections_per_address": 5000, "presence.agent_capacity": CAPACITY, "presence.leave_grace_ms": 300,
    "presence.agent_grace_ms": 3000, "presence.first_response_ms": 0,
}


class Customer:
    """Says hello, and notes what they are told."""

    def __init__(self, stack, login, rng):
        self.conversation = conversation_of(login)
        # Places in the queue, each list ended by an entry of the log.
        self.waits = [[]]
        self.entries = []
        self.client = AsyncClient(
            stack.port, login, rng, on_entry=lambda _, entry: self.take(entry),
            on_frame=lambda _, frame: self.hear(frame),
        )

    def hear(self, frame):
        assert frame["type"] in ("Welcome", "Queued", "UserJoined", "UserLeft", "Status"), frame
        if frame["type"] == "Queued":
            assert frame["conversation_id"] == self.conversation, frame
            self.waits[-1].append(frame["position"])

    def take(self, entry):
        self.entries.append(entry)
        self.waits.append([])

    @property
    def agent(self):
        """Who serves them now."""
        return self.entries[-1]["agent_id"] if self.entries else None

    @property
    def was_served(self):
        return any(entry["type"] == "AgentAssigned" for entry in self.entries)

    @property
    def is_closed(self):
        return bool(self.entries) and self.entries[-1]["type"] == "ConversationClosed"

    @property
    def requeued(self):
        return [entry for entry in self.entries if entry["type"] == "Transferred"]


class Agent:
    """Closes what is theirs, as fast as it comes, and notes when each began and ended."""

    def __init__(self, stack, login, rng):
        self.stack, self.login, self.rng = stack, login, rng
        self.user_id = login["user_id"]
        self.open = {}
        # (time, +1 or -1): what was given to them and what has ended, by the clock of the log.
        self.changes = []
        self.client = AsyncClient(stack.port, login, rng, on_entry=self.take, on_frame=self.hear)
        self.is_here = True
        self.is_closing = self.is_heard = False

    def hear(self, client, frame):
        assert frame["type"] != "Error", frame
        self.is_heard |= frame["type"] == "Heartbeat"

    def take(self, client, entry):
        conversation = entry["conversation_id"]
        if entry["type"] == "Chat":
            return
        if entry["agent_id"] == self.user_id:
            self.open[conversation] = entry
            self.changes.append((entry["timestamp"], 1))
        elif self.open.pop(conversation, None) is not None:
            self.changes.append((entry["timestamp"], -1))

    @property
    def most_at_once(self):
        load = most = 0
        # What has ended made room for what began in the same millisecond.
        for _, change in sorted(self.changes):
            load += change
            most = max(most, load)
        return most

    async def work(self, is_over):
        """Closes a few at a time, sometimes only when there is no room left."""
        while not is_over():
            least = self.rng.choice([1, 1, 1, CAPACITY])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await eventually(lambda: (self.is_here and len(self.open) >= least) or is_over(), "work", 10)
            if self.is_here and self.open:
                chosen = self.rng.sample(sorted(self.open), self.rng.randint(1, len(self.open)))
                self.is_closing = True
                await asyncio.gather(*(self.close(conversation) for conversation in chosen))
                self.is_closing = False

    async def close(self, conversation):
        answer = await asyncio.to_thread(act, self.stack, self.login, "close", conversation)
        if answer.status == 200:
            assert answer.json["state"] == "closed", answer.json
            await eventually(lambda: conversation not in self.open, f"{self.user_id} hears that {conversation} is over")
        else:
            # It was taken from them because they had been away, and they do not know yet.
            assert_problem(answer, 403)
            assert self.client.connections > 1, answer

    async def drop_out(self, customers):
        """Stays away until nothing is theirs any more, and comes back."""
        self.is_here = False
        await eventually(lambda: not self.is_closing, "what is being closed is closed")
        await eventually(lambda: self.open, "there is something to lose")
        theirs, before = dict(self.open), self.client.connections
        self.client.leave()
        # Also what was given to them just before it was noticed.
        await eventually(
            lambda: all(customers[name].requeued for name in theirs)
            and not any(customer.agent == self.user_id for customer in customers.values()),
            f"{self.user_id} has lost {set(theirs)}",
        )
        self.client.come_back()
        await eventually(
            lambda: self.client.connections > before
            and all(self.open.get(name) is not entry for name, entry in theirs.items()),
            f"{self.user_id} knows of it",
        )
        self.is_here = True

    async def blink(self):
        """Drops the connection and is back at once, without having lost anything."""
        self.is_here = False
        await eventually(lambda: not self.is_closing, "what is being closed is closed")
        await eventually(lambda: self.open, "there is something to keep")
        # The grace is counted from the last that was heard of them.
        self.is_heard = False
        self.client.send({"type": "Heartbeat"})
        await eventually(lambda: self.is_heard, "the agent is heard")
        theirs, before = dict(self.open), self.client.connections
        self.client.leave()
        self.client.come_back()
        await eventually(lambda: self.client.connections > before and self.client.ready.is_set(), "it is back")
        assert all(self.open.get(name) is entry for name, entry in theirs.items())
        self.is_here = True


class Rush:
    def __init__(self, stack, seed):
        self.stack = stack
        rng = random.Random(seed)
        customers, agents = stack.sessions(CUSTOMERS, AGENTS)
        self.customers = {
            conversation_of(login): Customer(stack, login, random.Random(rng.getrandbits(64))) for login in customers
        }
        self.agents = [Agent(stack, login, random.Random(rng.getrandbits(64))) for login in agents]
        self.rng = rng
        self.looks = 0

    def is_over(self):
        return all(customer.is_closed for customer in self.customers.values())

    def served(self):
        return sum(customer.was_served for customer in self.customers.values())

    def state(self):
        closed = sum(customer.is_closed for customer in self.customers.values())
        loads = [len(agent.open) for agent in self.agents]
        return f"{self.served()} were served, {closed} are done; the agents have {loads}"

    async def run(self):
        clients = [agent.client for agent in self.agents]
        async with asyncio.timeout(300), running(clients) as group:
            await self.everybody_arrives(group)
            tasks = [group.create_task(agent.work(self.is_over)) for agent in self.agents]
            tasks.append(group.create_task(self.look()))
            await eventually(lambda: self.served() >= UNDISTURBED, self.state, 120)
            self.check_places(grown_by=0)
            *self.leavers, blinking = self.rng.sample(self.agents, 4)
            await asyncio.gather(
                *(agent.drop_out(self.customers) for agent in self.leavers), blinking.blink()
            )
            await eventually(self.is_over, self.state, 180)
            for task in tasks:
                await task
            for customer in self.customers.values():
                await customer.client.stop()

    async def everybody_arrives(self, group):
        session = self.agents[0].login["session_id"]

        def all_online():
            answer = self.stack.http("GET", "/api/presence?user_type=Kefu", session=session)
            return len(answer.json["users"]) == AGENTS

        await eventually(all_online, "all agents are online")
        for customer in self.customers.values():
            group.create_task(customer.client.run())
        await eventually(
            lambda: all(customer.client.ready.is_set() for customer in self.customers.values()),
            "all are connected", 120,
        )
        for customer in self.customers.values():
            customer.client.say("hello")
        await eventually(
            lambda: all(customer.was_served or customer.waits[0] for customer in self.customers.values()),
            self.state, 120,
        )
        # Nobody has closed anything: as many as there is room for are served, the others stand in one line.
        assert self.served() == AGENTS * CAPACITY
        await eventually(lambda: all(len(agent.open) == CAPACITY for agent in self.agents), self.state)
        places = sorted(customer.waits[0][0] for customer in self.customers.values() if not customer.was_served)
        assert places == list(range(1, CUSTOMERS - AGENTS * CAPACITY + 1))

    async def look(self):
        """Counts what the list says that an agent has, again and again while customers are served and done with."""
        while not self.is_over():
            agent = self.rng.choice(self.agents)
            found = await asyncio.to_thread(listed, self.stack, agent.login, "state=open")
            mine = [one["conversation_id"] for one in found if one["agent_id"] == agent.user_id]
            assert len(mine) <= CAPACITY, f"{agent.user_id} has {mine}"
            self.looks += 1
            before = self.state()
            await eventually(lambda: self.state() != before or self.is_over(), self.state)

    # What has to be true at the end

    def check_places(self, grown_by):
        """Nobody's place gets worse, but by those who were put at the front."""
        for customer in self.customers.values():
            for places in customer.waits:
                for before, after in zip(places, places[1:]):
                    assert after <= before + grown_by, f"{customer.conversation} was told {places}"

    def check(self):
        assert self.looks > 20
        for agent in self.agents:
            assert agent.open == {} and agent.changes
            assert agent.most_at_once <= CAPACITY, f"{agent.user_id} had {agent.most_at_once} at once"
        requeued = {name for name, customer in self.customers.items() if customer.requeued}
        assert 3 <= len(requeued) <= 3 * CAPACITY
        # Nobody but those who stayed away has lost anybody; not the one who was soon back.
        assert {entry["former_agent_id"] for name in requeued for entry in self.customers[name].requeued} == {
            agent.user_id for agent in self.leavers
        }
        self.check_places(grown_by=len(requeued))
        for name, customer in self.customers.items():
            kinds = [entry["type"] for entry in customer.entries]
            again = ["Transferred", "AgentAssigned"] * len(customer.requeued)
            assert kinds == ["AgentAssigned", *again, "ConversationClosed"], (name, kinds)
        for name in requeued:
            for entry in self.customers[name].requeued:
                assert entry["agent_id"] is None and entry["reason"] == "agent_lost", entry
                # If they were told a place at all, it was in front.
                wait = self.customers[name].waits[self.customers[name].entries.index(entry) + 1]
                assert not wait or wait[0] <= len(requeued), wait
        self.check_order()

    def check_order(self):
        """Who came first was served first, by the decisions' own account of it."""
        admin = self.agents[0].login
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            made = dict(zip(
                self.customers, pool.map(lambda name: decisions(self.stack, admin, name), self.customers), strict=True
            ))
        first = {
            name: next(decision["at"] for decision in found if decision["kind"] == "assigned")
            for name, found in made.items()
        }
        places = {
            name: customer.waits[0][0] for name, customer in self.customers.items() if customer.waits[0]
        }
        in_line = sorted(places, key=places.get)
        times = [first[name] for name in in_line]
        assert times == sorted(times), "somebody was served before one who had come earlier"
        at_once = [time for name, time in first.items() if name not in places]
        assert len(at_once) == AGENTS * CAPACITY and max(at_once) <= times[0]
        assert collections.Counter(found[0]["kind"] for found in made.values()) == {
            "assigned": len(at_once), "queued": len(places)
        }


def test_a_thousand_customers_on_ten_agents(seed):
    with stack_with(SETTINGS) as stack:
        rush = Rush(stack, seed)
        asyncio.run(rush.run())
        rush.check()
        admin = stack.login("support001")
        for state in ("open", "queued"):
            assert listed(stack, admin, f"scope=all&state={state}") == []
