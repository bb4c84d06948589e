"""A TCP relay between a client and the edge, which breaks connections, or falls silent, when a test says so."""

import socket
import threading


class Relay:
    """Counts what clients send; `breaks` are pairs of such a count and what is then called, with the relay."""

    def __init__(self, port, breaks=()):
        self.target = port
        self.breaks = sorted(breaks, key=lambda one: one[0])
        self.sent = 0
        self.pairs = []
        self.websocket = None
        self.lock = threading.Lock()
        self.flows = {"up": threading.Event(), "down": threading.Event()}
        self.flow()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()
        self.flow()

    def hold(self, *ways):
        """From now on nothing comes through, and nobody is told, as when a radio link fails."""
        for way in ways or self.flows:
            self.flows[way].clear()

    def flow(self):
        """Everything comes through again, what was held first, unless its connection has been given up."""
        for way in self.flows.values():
            way.set()

    def cut(self):
        """Breaks every connection, on both sides."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for one in pair:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                one.close()

    def inject(self, data):
        """Bytes to the server on the newest WebSocket, as if the client had sent them."""
        self.websocket.sendall(data)

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            with self.lock:
                self.pairs.append((client, server))
            threading.Thread(target=self._copy, args=(client, server, "up"), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client, "down"), daemon=True).start()

    def _copy(self, source, target, way):
        try:
            while piece := source.recv(65_536):
                self.flows[way].wait()
                target.sendall(piece)
                if way == "up":
                    if piece.startswith(b"GET /ws"):
                        self.websocket = target
                    self._count(len(piece))
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _count(self, length):
        with self.lock:
            self.sent += length
            due = [action for at, action in self.breaks if at <= self.sent]
            del self.breaks[:len(due)]
        for action in due:
            action(self)
