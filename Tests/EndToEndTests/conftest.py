"""Fixtures. A module of tests shares one stack; what every stack must satisfy at its end is checked here."""

import os
import secrets

import pytest

from routing import Floor, served, set_status, write
from stack import SERVICES, Stack
from waiting import until

# Connections kept alive between nginx, the services and each other come and go; more than this is a leak.
DESCRIPTORS_SLACK = 24
# The modules that take longest begin first, so that at the end no worker runs long alone.
LONGEST = (
    "test_pages_access", "test_adapter_offline", "test_pages", "test_files_instances", "test_session_ends",
    "test_adapter_tabs", "test_adapter_close_codes", "test_pages_states", "test_pages_hostile", "test_pages_tabs",
    "test_login_limits", "test_presence_instances", "test_rolling", "test_close_codes", "test_delivery", "test_sockets",
    "test_chaos", "test_auth_outage", "test_adapter", "test_pages_figures", "test_file_crash", "test_react_example",
)


def pytest_collection_modifyitems(items):
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(LONGEST)))


@pytest.fixture(scope="module")
def stack(request):
    settings = getattr(request.module, "SETTINGS", None)
    one = Stack(settings)
    failed_before = request.session.testsfailed
    try:
        one.start()
        processes = [one.processes[name] for name in SERVICES]
        before = {process.name: (process.child.pid, process.descriptors()) for process in processes}
        yield one
        for process in processes:
            assert process.running, f"{process.name} is not running at the end:\n{process.log_text()[-3000:]}"

            def no_leak(process=process):
                pid, descriptors = before[process.name]
                return process.child.pid != pid or process.descriptors() <= descriptors + DESCRIPTORS_SLACK

            until(no_leak, f"{process.name} has closed its descriptors", timeout=20, interval=0.2)
        statuses = one.stop()
        assert set(statuses.values()) == {0}, f"exit statuses after SIGTERM: {statuses}"
        assert one.leaks() == []
    finally:
        if request.session.testsfailed > failed_before:
            one.print_logs()
        one.remove()


@pytest.fixture
def seed():
    """Of a random test: printed, which pytest shows when it fails, and taken from the environment."""
    number = int(os.environ.get("SEED") or secrets.randbits(32))
    print(f"SEED={number}")
    return number


# Routing


@pytest.fixture(scope="module")
def whole_floor(stack):
    return Floor(stack)


@pytest.fixture
def floor(whole_floor):
    """Fresh users, and nobody else there; the module's SETTINGS are to be `FLOOR_SETTINGS`."""
    whole_floor.clear()
    return whole_floor


@pytest.fixture
def connected(floor):
    """Connects logins for the length of a test."""
    chats = []

    def connect(login):
        chats.append(floor.arrive(login) if login["user_type"] == "Kefu" else floor.stack.chat(login))
        return chats[-1]

    yield connect
    for chat in chats:
        chat.close()


@pytest.fixture
def waiting(stack, floor, connected):
    """A busy agent, and a customer who waits."""
    agent, customer = floor.agent(), floor.customer()
    support = connected(agent)
    set_status(stack, agent, "Busy")
    chat = connected(customer)
    write(chat)
    chat.expect("Queued")
    return agent, support, customer, chat


@pytest.fixture
def assigned(floor, connected):
    """An agent who serves a customer, and another agent who has nobody."""
    agent, other, customer = floor.agent(), floor.agent(), floor.customer()
    support = connected(agent)
    chat = connected(customer)
    write(chat)
    served(chat, customer, agent)
    support.expect("AgentAssigned")
    return agent, support, other, connected(other), customer, chat
