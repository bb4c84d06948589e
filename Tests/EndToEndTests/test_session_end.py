"""A session that ends while its sockets are open: told beforehand, renewed on the same socket, closed on time."""

import datetime
import time

from stack import stack_with

# The shortest that auth allows, told of soon after the login.
SETTINGS = {"auth.session_lifetime_s": 60, "gateway.session_warning_s": 58}


def bring(chat, session_id):
    """Sends a `Session` frame and returns what answers it."""
    chat.send({"type": "Session", "session_id": session_id, "client_id": "renewal"})
    return chat.expect_that(lambda frame: frame.get("client_id") == "renewal", "answer to Session")


def is_at(wire):
    return datetime.datetime.fromisoformat(wire).timestamp()


def test_a_session_that_ends_is_told_of_renewed_and_closed_on_time():
    with stack_with(SETTINGS) as stack:
        first = stack.login("user123")
        with stack.chat(first) as ending, stack.chat(first) as lasting:
            for chat in (ending, lasting):
                notice = chat.expect("System", timeout=10)
                assert set(notice) == {"type", "code", "message", "expires_at", "timestamp"}, notice
                assert (notice["code"], notice["expires_at"]) == ("session_expiring", first["expires_at"])

            assert bring(lasting, stack.login("support001")["session_id"])["code"] == "session_mismatch"
            assert bring(lasting, "x" * 43)["code"] == "session_ended"
            second = stack.login("user123")
            answer = bring(lasting, second["session_id"])
            assert (answer["type"], answer["code"]) == ("System", "session_renewed"), answer
            assert answer["expires_at"] == second["expires_at"]
            lasting.expect("System", code="session_expiring", expires_at=second["expires_at"], timeout=10)

            assert ending.expect_closed(timeout=70) == 4401
            assert 0 <= time.time() - is_at(first["expires_at"]) < 1
            assert [frame for frame in ending.kept if frame["type"] == "System"] == [], "it was told once"
            lasting.settle()
            assert stack.http("POST", "/auth/logout", session=second["session_id"]).status == 200
            assert lasting.expect_closed(timeout=1) == 4401
