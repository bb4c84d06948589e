"""Services that start while Redis is away, or loads, wait for it; what waiting does not mend ends them at once."""

import contextlib
import json
import socketserver
import threading
import time

import pytest

from cluster import cluster
from http_client import assert_problem, request
from stack import SERVICES
from waiting import until


@pytest.fixture
def away():
    """A stack that has run, and stands still as its Redis does."""
    with cluster({"auth.password_cost": 1}) as (stack, redis):
        for name in SERVICES:
            assert stack.processes[name].stop() == 0
        redis.kill()
        yield stack, redis
        for name in SERVICES:
            assert stack.processes[name].running


def answer(stack, name, path):
    return request(stack.ports[name], "GET", path, timeout=2)


def waits(stack, name):
    """It lives, and says what it waits for."""
    assert stack.processes[name].running, stack.processes[name].log_text()[-2000:]
    until(lambda: answer(stack, name, "/healthz").status == 200, f"{name} lives", timeout=20)
    assert_problem(answer(stack, name, "/readyz"), 503, "unavailable", "store")


def lines(stack, name, event):
    """What a service has logged of an event."""
    found = [line for line in stack.processes[name].log_text().splitlines() if f'"event":"{event}"' in line]
    return [json.loads(line) for line in found]


def all_become_ready(stack):
    for name in SERVICES:
        stack.processes[name].wait_ready()
    customer, agent = stack.login("user123"), stack.login("support001")
    until(lambda: stack.takes(customer), "the gateway takes sockets", timeout=20)
    with stack.chat(agent) as support, stack.chat(customer) as chat:
        chat.send({"type": "Chat", "content": "here", "to_user_id": "support001", "client_id": "1"})
        chat.expect("Ack", client_id="1")
        assert support.expect("Chat")["content"] == "here"


class Loading(socketserver.ThreadingTCPServer):
    """A Redis that reads its data, as far as clients see."""

    allow_reuse_address, daemon_threads = True, True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                while self.request.recv(1 << 16):
                    self.request.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


def test_all_wait_for_redis_and_go_on(away):
    stack, redis = away
    for name in SERVICES:
        stack.processes[name].start(wait=False)
    for name in SERVICES:
        waits(stack, name)
    stack.processes["presence"].kill()
    with Loading(("127.0.0.1", redis.port), Loading.Handler):
        stack.processes["presence"].start(wait=False)
        for name in SERVICES:
            waits(stack, name)
        assert "LOADING" in lines(stack, "presence", "store_awaited")[-1]["reason"]
    redis.start()
    all_become_ready(stack)
    for name in SERVICES:
        started = time.monotonic()
        stack.processes[name].kill()
        stack.processes[name].start()
        print(f"{name} with Redis: ready after {time.monotonic() - started:.2f} s")
    for name in SERVICES:
        awaited, reached = lines(stack, name, "store_awaited"), lines(stack, name, "store_reached")
        times = 2 if name == "presence" else 1
        assert len(reached) == 1, "presence was killed while it waited"
        # Again after ten seconds at the earliest.
        assert times <= len(awaited) <= times + reached[0]["waited_ms"] // 10_000 + 1, awaited
        assert all(line["level"] == "warning" and line["reason"] for line in awaited)


def test_sigterm_ends_the_wait(away):
    stack, redis = away
    for name in SERVICES:
        stack.processes[name].start(wait=False)
    for name in SERVICES:
        waits(stack, name)
        began = time.monotonic()
        assert stack.processes[name].stop() == 0
        assert time.monotonic() - began < 2
    redis.start()
    for name in SERVICES:
        stack.processes[name].start(wait=False)
    all_become_ready(stack)


@pytest.mark.parametrize("credentials,word", [("", "NOAUTH"), (":wrong@", "WRONGPASS")])
def test_a_wrong_password_ends_the_start_at_once(away, credentials, word):
    stack, redis = away
    redis.start()
    assert redis.command("CONFIG", "SET", "requirepass", "right") == "OK"
    for name in SERVICES:
        process = stack.processes[name]
        environment = process.environment
        process.environment = {**environment, "STORE": f"redis://{credentials}127.0.0.1:{redis.port}"}
        process.start(wait=False)
        assert process.child.wait(timeout=20) == 1
        failed, = lines(stack, name, "failed")
        assert word in failed["error"] and "wrong" not in failed["error"]
        assert lines(stack, name, "store_awaited") == []
        process.child, process.environment = None, environment
    redis.kill()
    redis.start()
    for name in SERVICES:
        stack.processes[name].start()


def test_a_gateway_that_waited_refuses_the_half_of_an_import(away):
    stack, redis = away
    redis.start()
    assert redis.command("HSET", "{log:import}", "state", "begun", "source", "x") == "2"
    redis.kill()
    gateway = stack.processes["gateway"]
    gateway.start(wait=False)
    waits(stack, "gateway")
    redis.start()
    assert gateway.child.wait(timeout=20) == 1
    failed, = lines(stack, "gateway", "failed")
    assert "import" in failed["error"]
    gateway.child = None
    assert redis.command("DEL", "{log:import}") == "1"
    for name in SERVICES:
        stack.processes[name].start()
