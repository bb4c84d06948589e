"""A customer cannot read, write to, or learn of another customer, by any route and any frame.

One customer tries everything, with all that names the other one: user id, conversation, `seq`, file. Each attempt has
to be refused, in the very words with which a name that nobody has is refused; neither the other customer nor the agent
who serves them may notice; and nothing that the intruder is ever sent may name the other customer.
"""

import base64
import json
from urllib.parse import quote

import pytest

from chat_client import Chat, refused
from http_client import assert_problem, filled
from routing import FLOOR_SETTINGS, conversation_of, document, done, served, set_status, write
from waiting import until

SETTINGS = FLOOR_SETTINGS
SECRET = "the-victims-own-words"
FILE = {"file_name": "private.txt", "file_type": "text/plain", "file_data": base64.b64encode(SECRET.encode()).decode()}
# Shaped as the real ones, and nobody's.
NOBODY = {"user": "load-c999999", "file": "AAAAAAAAAAAAAAAAAAAAAA", "agents": "d:load-a999998:load-a999999"}


class Scene:
    """A customer who tries it, one who is tried on, and the agent who serves both."""

    def __init__(self, stack, floor, connected):
        self.stack, self.floor = stack, floor
        self.intruder, self.victim, self.agent = floor.customer(), floor.customer(), floor.agent()
        self.support = connected(self.agent)
        self.theirs = connected(self.victim)
        self.mine = connected(self.intruder)
        for login, chat in ((self.victim, self.theirs), (self.intruder, self.mine)):
            write(chat, "hello")
            served(chat, login, self.agent)
        self.file = self._upload()
        write(self.theirs, SECRET, content_type="File", file_id=self.file)
        self.support.expect("Chat", content=SECRET)
        self.agents = self._between_agents()
        for chat in (self.mine, self.theirs, self.support):
            chat.settle()
        self.before = self._state()
        self.marks = {chat: len(chat.seen) for chat in (self.theirs, self.support)}

    def _upload(self):
        answer = self.stack.http("POST", "/api/files/upload", json=FILE, session=self.victim["session_id"])
        assert answer.status == 201, answer
        return answer.json["file_id"]

    def _between_agents(self):
        """A conversation of two agents; a customer has no part in it either."""
        other = self.floor.agent()
        write(self.support, "between us", to_user_id=other["user_id"])
        return "d:" + ":".join(sorted((self.agent["user_id"], other["user_id"])))

    def _state(self):
        """What is stored of the victim."""
        entries = self.stack.history(self.victim["session_id"], f"conversation_id={conversation_of(self.victim)}")
        shown = document(self.stack, self.agent, conversation_of(self.victim))
        file = self.stack.http("GET", f"/api/files/{self.file}", session=self.victim["session_id"])
        assert file.status == 200, file
        return entries, shown, file.json

    def names(self, real):
        """What an attempt is given: the victim's names, or such as nobody has."""
        user = self.victim["user_id"] if real else NOBODY["user"]
        return {
            "user": user, "conversation": f"c:{user}", "file": self.file if real else NOBODY["file"],
            "agents": self.agents if real else NOBODY["agents"], "agent": self.agent["user_id"],
        }

    def assert_nothing_leaks(self, text, what):
        for word in (self.victim["user_id"], SECRET, self.file, FILE["file_name"], self.agents):
            assert word not in text, f"{what} tells of {word}: {text}"

    def assert_untouched(self, what):
        """Neither the victim nor their agent has been sent anything, and nothing is stored."""
        for chat in (self.theirs, self.support):
            chat.settle()
            fresh = [frame for frame in chat.seen[self.marks[chat]:] if frame["type"] != "Heartbeat"]
            about = [
                frame for frame in fresh
                if (chat is self.theirs or frame.get("conversation_id") in (conversation_of(self.victim), self.agents))
                # They hear of each other: how far they are, and that the agent has come.
                and not (
                    frame["type"] in ("Delivered", "UserJoined")
                    and frame["user_id"] in (self.victim["user_id"], self.agent["user_id"])
                )
            ]
            assert about == [], f"{what} was noticed: {about}"
        assert self._state() == self.before, f"{what} has changed something"


@pytest.fixture
def scene(stack, floor, connected):
    return Scene(stack, floor, connected)


# Routes

UPDATE = {"user_name": "changed"}
# Method, path, body; {user}, {conversation}, {file}, {agents} and {agent} are filled in.
ROUTES = [
    ("GET", "/api/messages?with={user}", None),
    ("GET", "/api/messages?with={user}&after=0&limit=1", None),
    ("GET", "/api/messages?conversation_id={conversation}", None),
    ("GET", "/api/messages?conversation_id={conversation}&before=2", None),
    ("GET", "/api/messages?conversation_id={conversation}&after=0", None),
    ("GET", "/api/messages?conversation_id={conversation}%20", None),
    ("GET", "/api/messages?conversation_id={agents}", None),
    ("GET", "/api/conversations/{conversation}", None),
    ("GET", "/api/conversations/{conversation}/routing", None),
    ("GET", "/api/conversations/{agents}", None),
    ("GET", "/api/conversations/{agents}/routing", None),
    ("POST", "/api/conversations/{conversation}/assign", {}),
    ("POST", "/api/conversations/{conversation}/assign", {"agent_id": "{agent}"}),
    ("POST", "/api/conversations/{conversation}/transfer", {"queue": True}),
    ("POST", "/api/conversations/{conversation}/transfer", {"agent_id": "{agent}"}),
    ("POST", "/api/conversations/{conversation}/close", {}),
    ("POST", "/api/conversations/{agents}/close", {}),
    ("GET", "/files/{file}", None),
    ("HEAD", "/files/{file}", None),
    ("GET", "/api/files/{file}", None),
    ("DELETE", "/api/files/{file}", None),
    ("POST", "/api/files/{file}/url", None),
    ("PATCH", "/api/files/uploads/{file}", None),
    ("HEAD", "/api/files/uploads/{file}", None),
    ("DELETE", "/api/files/uploads/{file}", None),
    ("GET", "/api/presence/{user}", None),
    ("PUT", "/api/presence/{user}", {"status": "Away"}),
    ("GET", "/api/users/{user}", None),
    ("PATCH", "/api/users/{user}", UPDATE),
    ("DELETE", "/api/users/{user}", None),
    ("PUT", "/api/users/{user}/password", {"old_password": "password123", "new_password": "another-password"}),
    ("GET", "/api/users/{user}/sessions", None),
    ("DELETE", "/api/users/{user}/sessions", None),
    ("GET", "/internal/assignments/{conversation}", None),
    ("POST", "/internal/users/lookup", {"user_ids": ["{user}"]}),
    ("POST", "/internal/locate", {"user_ids": ["{user}"]}),
    ("POST", "/internal/files/{file}/grants", {"sender": "{user}", "user_ids": ["{agent}"]}),
]


def test_every_route_refuses_and_tells_nothing(scene):
    for method, path, body in ROUTES:
        answers = []
        for real in (True, False):
            names = scene.names(real)
            encoded = {name: quote(text, safe=":") for name, text in names.items()}
            answer = scene.stack.http(
                method, filled(path, encoded), json=filled(body, names), session=scene.intruder["session_id"]
            )
            what = f"{method} {path} {body}"
            assert 400 <= answer.status < 500, f"{what}: {answer}"
            if method != "HEAD":
                problem = assert_problem(answer, answer.status)
                told = (answer.status, problem["code"], problem["detail"])
            else:
                told = (answer.status, answer.header("Content-Length"), answer.header("ETag"))
            scene.assert_nothing_leaks(answer.body.decode(errors="replace") + str(answer.headers), what)
            answers.append(told)
        assert answers[0] == answers[1], f"{what}: the answer tells that the other one exists"
        scene.assert_untouched(what)


# Routes without a name in them, which must not show others.
LISTS = [
    "/api/conversations", "/api/conversations?state=open", "/api/conversations?scope=own&limit=200", "/api/presence",
    "/api/conversations?scope=all", "/api/presence?user_type=Kehu", "/api/presence?user_type=Kefu&limit=200",
    "/api/users/online", "/api/users/online?user_type=Kehu", "/api/users", "/api/users?limit=200", "/auth/session",
    "/api/presence/me", "/api/config", "/api/conversations?cursor=0", "/api/conversations?customer_id={user}",
    "/api/presence?user_id={user}", "/api/files", "/api/files?uploader={user}",
]


def test_no_list_shows_another_customer(scene):
    for path in LISTS:
        answer = scene.stack.http("GET", path.format(**scene.names(True)), session=scene.intruder["session_id"])
        assert answer.status < 500, (path, answer)
        scene.assert_nothing_leaks(answer.body.decode(), path)
    own = scene.stack.http("GET", "/api/conversations", session=scene.intruder["session_id"]).json
    assert [found["conversation_id"] for found in own["conversations"]] == [conversation_of(scene.intruder)]
    # The lists work: the agent is there, and somebody who may see the victim does.
    shown = scene.stack.http("GET", "/api/presence", session=scene.intruder["session_id"]).json["users"]
    assert scene.agent["user_id"] in {user["user_id"] for user in shown}
    seen = scene.stack.http("GET", "/api/presence", session=scene.agent["session_id"]).json["users"]
    assert scene.victim["user_id"] in {user["user_id"] for user in seen}
    scene.assert_untouched("listing")


def test_the_socket_of_another_is_not_opened(scene):
    for real in (True, False):
        answer = refused(
            scene.stack.port, user_id=scene.names(real)["user"], session_id=scene.intruder["session_id"],
            user_type="Kehu",
        )
        assert answer.status_code == 403
        scene.assert_nothing_leaks(answer.body.decode(), "the handshake")
    scene.assert_untouched("the handshake")


# Frames

CHAT = {"type": "Chat", "content": "from the intruder"}
# Each, and whether it must be answered by an Error. What goes to the own agent all the same is no Error, and has to
# stay in the own conversation.
FRAMES = [
    ({**CHAT, "to_user_id": "{user}"}, True),
    ({**CHAT, "to": "{user}"}, True),
    ({**CHAT, "from_user_id": "{user}"}, True),
    ({**CHAT, "from": "{user}", "to_user_id": "{agent}"}, True),
    ({**CHAT, "to_user_id": "{conversation}"}, True),
    ({**CHAT, "file_id": "{file}"}, True),
    ({**CHAT, "file_id": "{file}", "content_type": "File", "to_user_id": "{agent}"}, True),
    ({**CHAT, "conversation_id": "{conversation}"}, False),
    ({**CHAT, "conversation_id": "{conversation}", "to_user_id": "{agent}"}, False),
    ({"type": "Delivered", "conversation_id": "{conversation}", "seq": 1}, True),
    ({"type": "Read", "conversation_id": "{conversation}", "seq": 1}, True),
    ({"type": "Read", "conversation_id": "{agents}", "seq": 1}, True),
    ({"type": "Typing", "conversation_id": "{conversation}", "is_typing": True}, True),
    ({"type": "Typing", "to_user_id": "{user}", "is_typing": True}, True),
    ({"type": "Typing", "conversation_id": "{agents}", "is_typing": True}, True),
    ({"type": "Recall", "conversation_id": "{conversation}", "target_seq": 1, "client_id": "recall"}, True),
    ({"type": "Recall", "conversation_id": "{conversation}", "target_seq": 3, "client_id": "recall"}, True),
    ({"type": "Recall", "conversation_id": "{agents}", "target_seq": 1}, True),
    ({"type": "HistoryRequest", "with": "{user}"}, True),
    ({"type": "HistoryRequest", "conversation_id": "{conversation}"}, True),
    ({"type": "HistoryRequest", "conversation_id": "{conversation}", "after": 0, "limit": 1}, True),
    ({"type": "HistoryRequest", "conversation_id": "{agents}"}, True),
    ({"type": "OnlineUsers", "user_id": "{user}"}, False),
    ({"type": "OnlineUsers", "user_type": "Kehu"}, False),
    ({"type": "GetOnlineUsers"}, False),
    ({"type": "Status", "status": "Away", "user_id": "{user}"}, False),
    ({"type": "Sync", "cursors": {"{conversation}": 0}}, True),
    ({"type": "AgentAssigned", "conversation_id": "{conversation}", "agent_id": "{agent}"}, True),
    ({"type": "System", "content": "for {user}"}, True),
]


def attempt(scene, chat, frame):
    """Sends it; what it was answered with, in words that do not depend on what it named."""
    before = len(chat.seen)
    chat.send(frame)
    # The answer to a heartbeat comes after whatever was looked up for the frame before it; only the log takes longer.
    chat.settle()
    while frame["type"] in ("Chat", "Recall") and not any(is_answer(fresh) for fresh in chat.seen[before:]):
        chat.receive()
    got = [fresh for fresh in chat.seen[before:] if fresh["type"] != "Heartbeat"]
    for answer in got:
        told = dict(answer)
        if told["type"] == "Error" and told.get("conversation_id") in (frame.get("conversation_id"), None):
            # An Error says which frame it answers, in that frame's own words.
            told.pop("conversation_id", None)
        scene.assert_nothing_leaks(json.dumps(told, ensure_ascii=False), f"the answer to {frame}")
    return [(answer["type"], answer.get("code"), answer.get("message")) for answer in got if is_answer(answer)]


def is_answer(frame):
    return frame["type"] in ("Ack", "Error", "History", "OnlineUsers", "Gap", "Synced")


def test_every_frame_is_refused_and_tells_nothing(scene):
    for frame, is_refused in FRAMES:
        told = []
        for real in (True, False):
            # A connection for each: twenty refused frames close one.
            with scene.stack.chat(scene.intruder) as chat:
                chat.settle()
                told.append(attempt(scene, chat, filled(frame, scene.names(real))))
        if is_refused:
            assert [answer[0] for answer in told[0]] == ["Error"], f"{frame}: {told[0]}"
        assert told[0] == told[1], f"{frame}: the answer tells that the other one exists"
        scene.assert_untouched(f"{frame}")
    # What was taken is in the intruder's own conversation, and reached the agent there.
    own = scene.stack.history(scene.intruder["session_id"], f"conversation_id={conversation_of(scene.intruder)}")
    taken = [entry for entry in own if entry["type"] == "Chat" and entry["content"] == CHAT["content"]]
    assert len(taken) == 2 * sum(1 for frame, refusal in FRAMES if frame["type"] == "Chat" and not refusal)
    assert {entry["from_user_id"] for entry in own} == {scene.intruder["user_id"], "system"}


def test_a_sync_that_names_the_other_gets_an_error_and_the_own_entries_only(scene):
    told = []
    for real in (True, False):
        name = scene.names(real)["conversation"]
        with Chat(
            scene.stack.port, user_id=scene.intruder["user_id"], session_id=scene.intruder["session_id"],
            user_type="Kehu", query={"sync": "1"},
        ) as chat:
            chat.send({"type": "Sync", "cursors": {name: 0, conversation_of(scene.intruder): 0}})
            error = chat.expect("Error")
            synced = chat.expect("Synced")
            assert (error["code"], error["conversation_id"]) == ("conversation_unknown", name)
            assert set(synced["heads"]) == {conversation_of(scene.intruder)}
            for frame in chat.seen:
                if frame is not error:
                    scene.assert_nothing_leaks(json.dumps(frame), "the Sync")
            told.append((error["message"], [frame["seq"] for frame in chat.seen if frame["type"] == "Chat"]))
    assert told[0] == told[1]
    scene.assert_untouched("Sync")


# What is sent unasked


def test_nothing_that_happens_to_others_is_heard(stack, scene, floor, connected):
    """All that the agent and the victim do, while the intruder listens: served by the same agent, then in line."""
    conversation = conversation_of(scene.victim)
    colleague = floor.agent()
    other = connected(colleague)
    with stack.chat(scene.intruder) as listener:
        for sender in (scene.theirs, scene.support):
            sender.send({"type": "Typing", "conversation_id": conversation, "is_typing": True})
            sender.send({"type": "Read", "conversation_id": conversation, "seq": 3})
        scene.theirs.expect("Typing", user_id=scene.agent["user_id"])
        scene.support.expect("Typing", user_id=scene.victim["user_id"])
        write(scene.support, "an answer", to_user_id=scene.victim["user_id"])
        scene.theirs.send({"type": "Recall", "conversation_id": conversation, "target_seq": 3, "client_id": "r"})
        scene.theirs.expect("Ack", client_id="r")
        done(stack, scene.agent, "transfer", conversation, agent_id=colleague["user_id"])
        other.expect("Transferred")
        # News are gathered, and who comes and leaves within one gathering is not told of: that of their coming is over.
        came = {"type": "UserJoined", "user_id": scene.victim["user_id"]}
        if not any(came.items() <= frame.items() for frame in scene.support.seen):
            scene.support.expect("UserJoined", user_id=scene.victim["user_id"])
        # The victim leaves and comes, which agents hear of; so does a third customer.
        scene.theirs.close()
        scene.support.expect("UserLeft", user_id=scene.victim["user_id"], timeout=15)
        again = connected(scene.victim)
        scene.support.expect("UserJoined", user_id=scene.victim["user_id"])
        # Both stand in the queue, the victim first, and the intruder's place follows from theirs.
        for login in (scene.agent, colleague):
            set_status(stack, login, "Busy")
        for login, operator in ((scene.victim, colleague), (scene.intruder, scene.agent)):
            done(stack, operator, "transfer", conversation_of(login), queue=True)
        again.expect("Queued", position=1)
        scene.mine.expect("Queued")
        done(stack, colleague, "assign", conversation)
        scene.mine.expect("Queued", position=1)
        for chat in (listener, scene.mine):
            chat.settle()
            kinds = {frame["type"] for frame in chat.seen}
            assert "Queued" in kinds
            for frame in chat.seen:
                scene.assert_nothing_leaks(json.dumps(frame, ensure_ascii=False), frame["type"])
                assert frame.get("user_id") in (None, scene.intruder["user_id"], scene.agent["user_id"]), frame
                assert frame.get("conversation_id") in (None, conversation_of(scene.intruder)), frame
                assert frame.get("agent_id") in (None, scene.agent["user_id"]), frame


def test_a_customer_hears_of_the_agent_who_serves_them_and_of_no_other(stack, scene, floor, connected):
    colleague = floor.agent()
    connected(colleague)
    with stack.chat(scene.intruder) as chat:
        # News are gathered: that the agent has come may be told together with their status.
        def is_told(status):
            frame = chat.receive()
            return frame.get("user_id") == scene.agent["user_id"] and frame.get("status") == status

        for status in ("Away", "Busy", "Online"):
            set_status(stack, colleague, status)
            set_status(stack, scene.agent, status)
            until(lambda: is_told(status), f"the agent is {status}", interval=0)
        assert not [frame for frame in chat.seen if frame.get("user_id") == colleague["user_id"]]


# Agents among themselves


def test_a_conversation_of_two_agents_is_nobody_elses(stack, scene, floor, connected):
    third = floor.agent()
    chat = connected(third)
    for path in (
        f"/api/messages?conversation_id={scene.agents}", f"/api/conversations/{scene.agents}",
        f"/api/conversations/{scene.agents}/routing",
    ):
        assert_problem(stack.http("GET", path, session=third["session_id"]), 404)
    for frame in (
        {"type": "HistoryRequest", "conversation_id": scene.agents},
        {"type": "Read", "conversation_id": scene.agents, "seq": 1},
        {"type": "Typing", "conversation_id": scene.agents, "is_typing": True},
        {"type": "Recall", "conversation_id": scene.agents, "target_seq": 1},
    ):
        chat.send(frame)
        assert chat.expect("Error")["code"] == "conversation_unknown", frame
    for query in ("scope=all", ""):
        found = stack.http("GET", f"/api/conversations?limit=200&{query}", session=third["session_id"]).json
        assert scene.agents not in {one["conversation_id"] for one in found["conversations"]}
    scene.assert_untouched("a third agent")


def test_what_is_refused_to_the_customer_works_for_the_victim(stack, scene):
    """The attempts above fail for who makes them, not for how they are made."""
    session = scene.victim["session_id"]
    names = scene.names(True)
    for path in (
        "/api/messages?conversation_id={conversation}", "/api/conversations/{conversation}", "/files/{file}",
        "/api/files/{file}", "/api/presence/{user}",
    ):
        assert stack.http("GET", path.format(**names), session=session).status == 200, path
    with stack.chat(scene.victim) as chat:
        chat.send({"type": "HistoryRequest", "conversation_id": names["conversation"]})
        assert SECRET in json.dumps(chat.expect("History"))
        chat.send({"type": "Read", "conversation_id": names["conversation"], "seq": 3})
        scene.support.expect("Read", conversation_id=names["conversation"], user_id=scene.victim["user_id"])
        chat.send({"type": "Typing", "conversation_id": names["conversation"], "is_typing": True})
        scene.support.expect("Typing", user_id=scene.victim["user_id"])
        chat.send({"type": "Recall", "conversation_id": names["conversation"], "target_seq": 3, "client_id": "mine"})
        chat.expect("Ack", client_id="mine")
    assert SECRET not in str(stack.history(session, f"conversation_id={names['conversation']}"))


def test_that_auth_is_away_does_not_tell_who_is_there(scene, stack):
    """The other customer is known to the gateway, and yet the answer comes from where that for nobody's name does."""
    stack.auth.stop()
    try:
        told = set()
        for name in (scene.victim["user_id"], NOBODY["user"]):
            scene.mine.send({"type": "Chat", "content": "are you there?", "to_user_id": name})
            told.add(scene.mine.expect("Error", timeout=15)["code"])
            scene.mine.send({"type": "Typing", "is_typing": True, "to_user_id": name})
            told.add(scene.mine.expect("Error", timeout=15)["code"])
        assert told == {"unavailable"}
    finally:
        stack.auth.start()
