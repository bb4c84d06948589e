"""A client as an integrator should write one, and which asserts what it was promised.

It keeps a cursor for each conversation and connects with `sync=1`; it keeps what was not acknowledged and sends it
again under the same `client_id`; it connects again with back-off, after a 1001 and a refused handshake when it is told
to; what a `Gap` leaves out it pages over REST. Every frame is checked as it comes: on each connection a conversation's
entries, and the `Ack`s in the place of own ones, come in order without holes from the cursor on, none twice; a `seq`
means the same entry for ever; each message gets one `Ack`, the same one however often it is sent.
"""

import asyncio
import collections
import contextlib
import json
import re
import time
from urllib.parse import urlencode

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from chat_client import ENTRY_TYPES
from http_client import request
from lean_socket import connect as connect_lean
from waiting import eventually

# Answers to a handshake, and close codes, after which a client comes again; 1006 stands for no code at all.
RETRIED_STATUSES = {429, 503}
RETRIED_CODES = {1000, 1001, 1006, 1009, 1013, 4408}


@contextlib.asynccontextmanager
async def running(clients):
    """Runs the clients for as long as the block; the first that was given what it must not be ends it."""
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run())
        yield group
        for client in clients:
            await client.stop()


# What an entry is, told apart from any other.
Seen = collections.namedtuple("Seen", "id type content")


def seen(entry):
    """An entry as it is remembered."""
    content = {"Chat": "content", "Recall": "target_seq"}.get(entry["type"], "agent_id")
    return Seen(entry["id"], entry["type"], entry[content])


def longest_pause(socket):
    """The seconds within which the server that stops asks its clients to come again."""
    found = re.search(r"reconnect in 0-(\d+) ms", socket.close_reason or "")
    assert found, f"1001 does not say when to come again: {socket.close_reason!r}"
    return int(found[1]) / 1000


class AsyncClient:
    """One device of a user. `run` connects it, again and again, until `stop`."""

    def __init__(
        self, port, login, rng, device="", window=8, lifetime=None, away=lambda rng: 0.0, receipts_every=None,
        begins_at_one=True, on_entry=None, on_frame=None, is_lean=False,
    ):
        """`lifetime` gives after how many entries and Acks a connection is dropped, `away` for how many seconds;
        `begins_at_one`: a conversation without a cursor has to begin with `seq` 1; `on_entry` gets each entry once,
        own messages left out; `on_frame` every other frame; `is_lean`: on a connection of ours, of which a process can
        have thousands."""
        self.port, self.login, self.rng, self.device, self.window = port, login, rng, device, window
        self.lifetime, self.away, self.receipts_every = lifetime, away, receipts_every
        self.begins_at_one, self.on_entry, self.on_frame, self.is_lean = begins_at_one, on_entry, on_frame, is_lean
        self.user_id = login["user_id"]
        self.name = f"{self.user_id}/{device}"
        # The last `seq` taken of each conversation; what `Sync` names.
        self.cursors = {}
        # Conversations that an agent was taken off: they may find them further on when they come back to them.
        self.absent = set()
        self.seen = {}
        self.sent = {}
        self.acks = {}
        self.outbox = collections.OrderedDict()
        self.connections = self.gaps = self.resent = self.refusals = 0
        # The close code of each connection that was ended for it, and the seconds from then to the next `Synced`.
        self.outages = []
        self._ended = None
        self.ready = asyncio.Event()
        self._may_connect = asyncio.Event()
        self._may_connect.set()
        self._more = asyncio.Event()
        self._socket = None
        self._tried = set()
        # How often each message was answered with an `Error`.
        self._refused = collections.Counter()
        self._stopping = asyncio.Event()
        self._begin()

    # What a test does with it

    def say(self, content, to=None, client_id=None, **members):
        """Puts a message into the outbox; it is sent, and sent again, until it is acknowledged."""
        client_id = client_id or f"{self.device}-{len(self.sent)}"
        assert client_id not in self.sent, f"{self.name}: {client_id} is used already"
        frame = {"type": "Chat", "content": content, "client_id": client_id, **members}
        if to is not None:
            frame["to_user_id"] = to
        self.sent[client_id] = self.outbox[client_id] = frame
        self._unsent.append(client_id)
        self._more.set()
        return client_id

    def repeat(self, client_id):
        """Sends again what was acknowledged already."""
        self.outbox[client_id] = self.sent[client_id]
        self._unsent.append(client_id)
        self._more.set()

    def again(self, client_id):
        """Sends what was answered with an `Error` that is over by itself, after a while: at once would only be more of
        what the server cannot do just now. A new connection sends it in any case."""
        connection, refusals = self.connections, self._refused[client_id]
        self._refused[client_id] += 1
        self._awaited.discard(client_id)

        def say_again():
            if self.connections == connection and client_id in self.outbox:
                self._unsent.append(client_id)
                self._more.set()

        pause = min(5.0, 0.25 * 2 ** refusals) * self.rng.uniform(0.5, 1.5)
        asyncio.get_running_loop().call_later(pause, say_again)

    def send(self, frame):
        """Sends a frame that is not kept for another connection."""
        self._control.append(frame)
        self._more.set()

    def leave(self):
        """Drops the connection without a word and stays away until `come_back`."""
        self._may_connect.clear()
        self._abort()

    def come_back(self):
        self._may_connect.set()

    async def stop(self):
        self._stopping.set()
        self._may_connect.set()
        if self._socket is not None:
            await self._socket.close()

    def count(self, conversation):
        """How many of a conversation's entries it has seen."""
        return len(self.seen.get(conversation, ()))

    def check_order_of_own(self):
        """In each conversation the own messages stand in the order in which they were sent."""
        last = {}
        for client_id in self.sent:
            ack = self.acks.get(client_id)
            if ack is not None:
                before = last.get(ack["conversation_id"], 0)
                self._assert(ack["seq"] > before, f"{client_id} got seq {ack['seq']} after {before}")
                last[ack["conversation_id"]] = ack["seq"]

    # Connecting

    async def run(self):
        attempt = 0
        while not self._stopping.is_set():
            await self._may_connect.wait()
            if self._stopping.is_set():
                return
            told = 0.0
            try:
                socket = await self._open()
            except InvalidStatus as error:
                status = error.response.status_code
                self._assert(status in RETRIED_STATUSES, f"the handshake was answered {status}")
                self.refusals += 1
                told = float(error.response.headers.get("Retry-After", 0))
            except (OSError, EOFError, TimeoutError, InvalidHandshake):
                pass
            else:
                attempt = 0
                if self._stopping.is_set() or not self._may_connect.is_set():
                    socket.transport.abort()
                    continue
                self.connections += 1
                await self._converse(socket)
                told = self.rng.uniform(0, longest_pause(socket)) if socket.close_code == 1001 else 0.0
                await self._pause(told + self.away(self.rng))
                continue
            attempt += 1
            await self._pause(told + min(1.0, 0.05 * 2 ** attempt) * self.rng.uniform(0.5, 1))

    async def _pause(self, seconds):
        """Stays away so long, as a client does between two connections; being stopped ends it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _open(self):
        query = {name: self.login[name] for name in ("user_id", "session_id", "user_type")}
        path = f"/ws?{urlencode(query)}&sync=1"
        if self.is_lean:
            return await connect_lean("127.0.0.1", self.port, path)
        return await connect(
            f"ws://127.0.0.1:{self.port}{path}", compression=None, proxy=None, max_size=1 << 22,
            max_queue=None, ping_interval=None, open_timeout=20, close_timeout=2,
        )

    def _begin(self):
        """The state of a connection."""
        # How far this connection is in each conversation: the last `seq` that came.
        self._positions = dict(self.cursors)
        self._unsent = collections.deque(self.outbox)
        self._control = collections.deque()
        self._awaited = set()
        self._is_synced = False
        self._left = None if self.lifetime is None else self.lifetime(self.rng)

    async def _converse(self, socket):
        self._begin()
        self._socket = socket
        writer = asyncio.create_task(self._write(socket))
        has_dropped = False
        try:
            async for text in socket:
                await self._take(json.loads(text))
                if self._left is not None and self._left <= 0:
                    has_dropped = True
                    if self.rng.random() < 0.5:
                        await socket.close()
                    else:
                        socket.transport.abort()
                    break
        except ConnectionClosed:
            pass
        finally:
            self._socket = None
            self.ready.clear()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            socket.transport.abort()
        if not has_dropped and not self._stopping.is_set():
            code = socket.close_code
            self._ended = self._ended or (code, time.monotonic())
            self._assert(code is None or code in RETRIED_CODES, f"closed with {code}: {socket.close_reason}")

    def _abort(self):
        if self._socket is not None:
            self._socket.transport.abort()

    async def _write(self, socket):
        with contextlib.suppress(ConnectionClosed):
            await socket.send(json.dumps({"type": "Sync", "cursors": self.cursors}))
            while True:
                while self._control:
                    await socket.send(json.dumps(self._control.popleft()))
                while self._unsent and len(self._awaited) < self.window:
                    client_id = self._unsent.popleft()
                    self._awaited.add(client_id)
                    self.resent += client_id in self._tried
                    self._tried.add(client_id)
                    await socket.send(json.dumps(self.outbox[client_id], ensure_ascii=False))
                self._more.clear()
                await self._more.wait()

    # Frames

    async def _take(self, frame):
        kind = frame["type"]
        if kind in ENTRY_TYPES:
            self._take_entry(frame)
        elif kind == "Ack":
            self._take_ack(frame)
        elif kind == "Gap":
            await self._take_gap(frame)
        elif kind == "Synced":
            self._take_synced(frame)
        else:
            if kind == "Welcome":
                self._assert(frame["user_id"] == self.user_id, frame)
            self._assert(kind != "Error" or self.on_frame, frame)
            if self.on_frame:
                self.on_frame(self, frame)

    def _advance(self, conversation, seq, what):
        """The next entry of a conversation, or the Ack in its place."""
        position = self._positions.get(conversation)
        if position is None:
            fits = seq == 1 or not self.begins_at_one
        else:
            fits = seq == position + 1 or (seq > position and conversation in self.absent)
        self._assert(fits, f"{conversation}: after {position} came the {what} {seq}")
        self._positions[conversation] = seq
        self._tick()

    def _take_entry(self, frame):
        conversation, seq = frame["conversation_id"], frame["seq"]
        self._advance(conversation, seq, "entry")
        self.cursors[conversation] = seq
        self._note_absence(frame)
        self._keep(frame)
        if self.receipts_every and seq % self.receipts_every == 0:
            self.send({"type": "Delivered", "conversation_id": conversation, "seq": seq})

    def _note_absence(self, frame):
        is_taken_off = frame["type"] == "ConversationClosed" or (
            frame["type"] in ("AgentAssigned", "Transferred") and frame["agent_id"] != self.user_id
        )
        if is_taken_off and self.login["user_type"] == "Kefu":
            self.absent.add(frame["conversation_id"])
        else:
            self.absent.discard(frame["conversation_id"])

    def _keep(self, frame):
        """An entry from whichever source; it is the one that this `seq` has always been."""
        is_own = frame["from_user_id"] == self.user_id
        is_new = self._remember(frame, seen(frame))
        if is_new and not is_own and self.on_entry:
            self.on_entry(self, frame)

    def _remember(self, frame, fresh):
        conversation, seq = frame["conversation_id"], frame["seq"]
        entries = self.seen.setdefault(conversation, {})
        earlier = entries.setdefault(seq, fresh)
        self._assert(earlier == fresh, f"{conversation} {seq} was {earlier} and is {fresh}")
        return earlier is fresh

    def _take_ack(self, frame):
        conversation, seq, client_id = frame["conversation_id"], frame["seq"], frame["client_id"]
        self._assert(client_id in self._awaited, f"an Ack that nothing on this connection asked for: {frame}")
        self._awaited.discard(client_id)
        earlier = self.acks.setdefault(client_id, frame)
        self._assert(earlier == frame, f"acknowledged as {earlier}, and then as {frame}")
        if seq > self._positions.get(conversation, 0):
            # In place of the entry. No cursor is taken from it, so the next connection may bring the entry.
            self._advance(conversation, seq, "Ack of")
            self.absent.discard(conversation)
        else:
            self._assert(seq in self.seen[conversation], f"{conversation}: the entry {seq} never came, its Ack did")
        self._remember(frame, Seen(frame["id"], "Chat", self.sent[client_id]["content"]))
        del self.outbox[client_id]
        self._more.set()

    async def _take_gap(self, frame):
        """Pages what was left out, which is just what the frame says."""
        conversation, first, last = frame["conversation_id"], frame["from"], frame["to"]
        position = self._positions.get(conversation)
        self._assert(not self._is_synced, f"after Synced: {frame}")
        follows = first == (position or 0) + 1 or (position is None and not self.begins_at_one)
        self._assert(follows and first <= last, f"after {position}: {frame}")
        self.gaps += 1
        after = first - 1
        while after < last:
            for entry in await self._page(conversation, after, min(200, last - after)):
                self._assert(entry["seq"] == after + 1, f"{conversation}: history has {entry['seq']} after {after}")
                after += 1
                self._keep(entry)
        self._positions[conversation] = self.cursors[conversation] = last

    async def _page(self, conversation, after, limit):
        path = f"/api/messages?conversation_id={conversation}&after={after}&limit={limit}"

        async def fetched():
            with contextlib.suppress(OSError):
                answer = await asyncio.to_thread(request, self.port, "GET", path, session=self.login["session_id"])
                if answer.status == 200:
                    return answer.json["messages"]
                self._assert(answer.status in RETRIED_STATUSES, f"{path}: {answer}")
            return None

        return await eventually(fetched, f"{path} has messages", interval=0.1)

    def _take_synced(self, frame):
        self._assert(not self._is_synced, "Synced twice")
        self._is_synced = True
        if self._ended:
            code, since = self._ended
            self.outages.append((code, time.monotonic() - since))
            self._ended = None
        for conversation, head in frame["heads"].items():
            position = self._positions.get(conversation)
            is_known = position is not None or self.begins_at_one
            self._assert(
                not is_known or (position or 0) >= head, f"{conversation}: Synced at {position}, its head is {head}"
            )
        self.ready.set()

    def _tick(self):
        if self._left is not None:
            self._left -= 1

    def _assert(self, condition, message):
        assert condition, f"{self.name}, connection {self.connections}: {message}"
