"""Fixtures. A module of tests shares one stack; what every stack must satisfy at its end is checked here."""

import pytest

from stack import SERVICES, Stack
from waiting import until

# Connections kept alive between nginx, the services and each other come and go; more than this is a leak.
DESCRIPTORS_SLACK = 24


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
            for path in one.log_files():
                print(f"--- the end of {path.name}")
                print("\n".join(path.read_text(errors="replace").splitlines()[-40:]))
        one.remove()
