"""Users of their own for one test, connected by one of the clients, and gone without a trace at its end."""

import contextlib
import re

from chat_client import Chat
from http_client import request
from node_client import NodeChat
from waiting import until

CLIENTS = {"python": Chat, "node": NodeChat}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")


def has_only(frame, *names):
    """Whether these members, and no others, stand beside `type`, in the form that their names imply."""
    assert set(frame) == {"type", *names}, f"{sorted(frame)} is not {sorted(names)}: {frame}"
    for name in ("timestamp", "server_time"):
        assert name not in frame or TIME.fullmatch(frame[name]), frame
    assert "id" not in frame or ID.fullmatch(frame["id"]), frame
    assert "seq" not in frame or type(frame["seq"]) is int, frame
    return True


def story(chat):
    """What has come of the log, in its order: the entries' sequences, those of own ones, their `Ack`s, as negatives."""
    return [-frame["seq"] if frame["type"] == "Ack" else frame["seq"] for frame in chat.seen if "id" in frame]


def conversation(login):
    return f"c:{login['user_id']}"


class People:
    """The users of a stack: customers who are used once, and agents who come again."""

    def __init__(self, stack, customers, agents):
        self.customers, self.agents = stack.sessions(customers, agents)
        self.used = 0

    def customer(self):
        self.used += 1
        return self.customers[self.used - 1]


class Cast:
    def __init__(self, stack, people, client):
        self.stack, self.people, self.client = stack, people, client
        self.open_ones = contextlib.ExitStack()
        self.customers = []
        self.connected = set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open_ones.close()
        for login in self.customers:
            self.close_conversation(login)
        # The next test's routing must not find them.
        until(lambda: not any(self.located(user) for user in self.connected), "everybody has left", timeout=15)

    def customer(self):
        """A customer who was never here."""
        self.customers.append(self.people.customer())
        return self.customers[-1]

    def agent(self, number=0):
        return self.people.agents[number]

    def open(self, login, sync=None, **options):
        """A connection, after its Welcome; with `sync` after `Synced` too."""
        if sync is not None:
            options["query"] = {**options.get("query", {}), "sync": "1"}
        chat = self.open_ones.enter_context(self.stack.chat(login, client=self.client, **options))
        self.connected.add(login["user_id"])
        if login["user_type"] == "Kefu":
            # Routing goes by what presence knows.
            until(lambda: self.located(login["user_id"]), f"presence knows of {login['user_id']}")
        if sync is not None:
            chat.send({"type": "Sync", "cursors": sync})
            chat.synced = chat.expect("Synced", timeout=20)
        return chat

    def located(self, user_id):
        """The gateways that presence knows the user at."""
        answer = request(
            self.stack.ports["presence"], "POST", "/internal/locate", json={"user_ids": [user_id]},
            headers={"X-Internal-Token": self.stack.token},
        )
        assert answer.status == 200, answer
        return answer.json["locations"].get(user_id)

    def served(self, sync=None):
        """A customer whom an agent serves: the two connections, and the assignment's entry."""
        support = self.open(self.agent(), sync=sync)
        login = self.customer()
        chat = self.open(login, sync=sync)
        chat.send({"type": "Chat", "to_user_id": self.agent()["user_id"], "content": "hello", "client_id": "hello"})
        chat.expect("Ack", client_id="hello", seq=1)
        entry = chat.expect("AgentAssigned", agent_id=self.agent()["user_id"], seq=2)
        for seq in (1, 2):
            support.expect_that(
                lambda frame: frame.get("seq") == seq and frame.get("conversation_id") == conversation(login),
                f"entry {seq}",
            )
        return chat, support, login, entry

    def route(self, what, login, by, **body):
        """`POST /api/conversations/{id}/assign`, `transfer` or `close`."""
        return self.stack.http(
            "POST", f"/api/conversations/{conversation(login)}/{what}", json=body, session=by["session_id"]
        )

    def close_conversation(self, login):
        """Ends what routing knows of a customer, so that no agent of another test gets it."""
        admin = self.stack.admin = getattr(self.stack, "admin", None) or self.stack.login("support001")
        answer = self.route("close", login, admin)
        assert answer.status in (200, 404), answer

    def entries(self, login, by=None):
        """The log of a customer's conversation."""
        query = f"conversation_id={conversation(login)}"
        return self.stack.history((by or login)["session_id"], query)
