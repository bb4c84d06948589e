"""Routing as tests ask for it: fresh users, and what the REST routes say of conversations."""

import secrets

from waiting import until

# The SETTINGS of a module that uses `floor`. Two conversations fill an agent; agents of the test before are soon gone.
FLOOR_SETTINGS = {"presence.agent_capacity": 2, "presence.leave_grace_ms": 100}
ROUTING_ENTRIES = ("AgentAssigned", "Transferred", "ConversationClosed")


def conversation_of(customer):
    return f"c:{customer['user_id']}"


def act(stack, login, operation, conversation, **body):
    """POST assign, transfer or close; the answer, whatever it is."""
    return stack.http("POST", f"/api/conversations/{conversation}/{operation}", json=body, session=login["session_id"])


def done(stack, login, operation, conversation, **body):
    """The same, which has to succeed; the conversation's document."""
    answer = act(stack, login, operation, conversation, **body)
    assert answer.status == 200, answer
    return answer.json


def document(stack, login, conversation):
    answer = stack.http("GET", f"/api/conversations/{conversation}", session=login["session_id"])
    assert answer.status == 200, answer
    return answer.json


def listed(stack, login, query="", limit=200):
    """All pages of GET /api/conversations."""
    found, cursor = [], ""
    while True:
        path = f"/api/conversations?limit={limit}&{query}{cursor}"
        answer = stack.http("GET", path, session=login["session_id"])
        assert answer.status == 200, (path, answer)
        found += answer.json["conversations"]
        if answer.json.get("next_cursor") is None:
            return found
        cursor = f"&cursor={answer.json['next_cursor']}"


def explanation(stack, login, conversation):
    answer = stack.http("GET", f"/api/conversations/{conversation}/routing", session=login["session_id"])
    assert answer.status == 200, answer
    return answer.json


def decisions(stack, login, conversation):
    """What was decided about a conversation, in order."""
    found = sorted(explanation(stack, login, conversation)["decisions"], key=lambda decision: decision["number"])
    assert [decision["number"] for decision in found] == list(range(1, len(found) + 1))
    return found


def set_status(stack, login, status):
    answer = stack.http("PUT", "/api/presence/me", json={"status": status}, session=login["session_id"])
    assert answer.status == 200, answer


def write(chat, content="hello", **members):
    """Sends a message and waits for its Ack."""
    chat.send({"type": "Chat", "content": content, **members})
    return chat.expect("Ack")


def served(chat, customer, agent, **members):
    """The customer is told that this agent serves them now."""
    return chat.expect(
        "AgentAssigned", conversation_id=conversation_of(customer), agent_id=agent["user_id"], **members
    )


def routing_entries(stack, floor, customer):
    """What routing has done to a customer's conversation, out of its log."""
    entries = stack.history(floor.admin["session_id"], f"conversation_id={conversation_of(customer)}")
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    return [entry for entry in entries if entry["type"] in ROUTING_ENTRIES]


def assigned_to(floor, customer):
    """Waits until the customer has an agent; who."""

    def agent():
        found = document(floor.stack, floor.admin, conversation_of(customer))
        return found["state"] == "open" and found["agent_id"]

    return until(agent, f"{customer['user_id']} has an agent", timeout=20)


def entries_and_decisions_agree(floor, customer):
    """Every decision is in the log, once, in order; and nothing is that was not decided."""

    def agree():
        entries = routing_entries(floor.stack, floor, customer)
        made = decisions(floor.stack, floor.admin, conversation_of(customer))
        ids = [decision["decision_id"] for decision in made if decision["kind"] != "queued"]
        assert [entry["client_id"] for entry in entries] == ids, (entries, made)
        return entries

    return until(agree, "log and decisions agree", timeout=20)


class Floor:
    """Hands out users whom no other test has had, and an administrator who is not connected.

    Between two tests nobody waits, nobody is served and no agent is there.
    """

    def __init__(self, stack, customers=100, agents=60):
        self.stack = stack
        self.admin = stack.login("support001")
        self.customers, self.agents = stack.sessions(customers, agents)

    def customer(self):
        return self.customers.pop(0)

    def agent(self, capacity=None):
        """An agent who is not connected yet."""
        if capacity is None:
            return self.agents.pop(0)
        name, password = f"agent-{secrets.token_hex(4)}", secrets.token_urlsafe(12)
        self.stack.secrets.add(password)
        file = self.stack.directory / "password"
        file.write_text(password)
        self.stack.run(
            "auth", "create-user", "--user-id", name, "--user-type", "Kefu", "--capacity", str(capacity),
            "--password-file", str(file),
        )
        return self.stack.login(name, password, "Kefu")

    def arrive(self, login):
        """Connects an agent, and waits until presence knows them."""
        chat = self.stack.chat(login)
        path = f"/api/presence/{login['user_id']}"

        def is_there():
            answer = self.stack.http("GET", path, session=login["session_id"])
            return answer.status == 200 and answer.json["users"][0]["status"] != "Offline"

        until(is_there, f"presence knows {login['user_id']}")
        return chat

    def clear(self):
        """Closes every conversation that is not, and waits until no agent is there."""

        def nothing_is_left():
            left = [
                found["conversation_id"]
                for state in ("open", "queued") for found in listed(self.stack, self.admin, f"scope=all&state={state}")
                if found["customer_id"] is not None
            ]
            for conversation in left:
                act(self.stack, self.admin, "close", conversation)
            return not left

        until(nothing_is_left, "every conversation is closed", timeout=20)

        def nobody_is_there():
            answer = self.stack.http("GET", "/api/presence?user_type=Kefu", session=self.admin["session_id"])
            return answer.status == 200 and answer.json["users"] == []

        until(nobody_is_there, "no agent is there", timeout=20)
