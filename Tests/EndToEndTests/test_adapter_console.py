"""What README.md says for when something does not work, done as it says."""

import subprocess

import pytest

from adapter_pages import accounts, browser, note_sessions, tab
from browser import Site
from stack import ROOT
from waiting import until

SETTINGS = {"auth.password_cost": 1, "files.file_bytes_max": 200_000}
TROUBLES = (ROOT / "README.md").read_text().partition("## Troubleshooting")[2].partition("\n## ")[0]


@pytest.fixture
def said(tab, accounts):
    """A page with `debug`, and what its console shows."""
    page = tab(debug=True)
    page.said = []
    page.page.on("console", lambda message: page.said.append((message.type, message.text)))
    person = accounts.create()
    page.login(person["user_id"], person["password"], "customer")
    return page


def test_the_console_shows_what_comes_and_no_session(stack, said):
    assert said.run("return window.adapter.state") == "connected"
    (script,) = [line for line in TROUBLES.splitlines() if "ws.addEventListener" in line]
    said.run("const ws = adapter.ws.ws;" + script)
    said.run("await adapter.sendMessage('hello')")
    until(lambda: said.run("return 1") and any(text.startswith("WS收到:") for _, text in said.said), "it is shown")
    traced = [text for kind, text in said.said if kind == "debug"]
    assert any("Welcome" in text for text in traced) and any("Ack" in text for text in traced)
    (session,) = note_sessions(stack, said)
    assert not any(session in text for _, text in said.said)


def test_a_foreign_origin_looks_as_described(stack, browser):
    site = Site()
    context = browser.new_context()
    try:
        page = context.new_page()
        texts = []
        page.on("console", lambda message: texts.append(message.text))
        page.goto(site.origin("127.0.0.1"))
        failed = page.evaluate("""(origin) => fetch(`${origin}/auth/login`, {
            method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}',
        }).then(() => null, String)""", f"http://localhost:{stack.port}")
        assert "Failed to fetch" in failed
        until(lambda: page.title() and any("blocked by CORS policy" in text for text in texts), "the console says it")
        assert any("No 'Access-Control-Allow-Origin' header" in text for text in texts)
    finally:
        context.close()
        site.close()
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    answer = stack.http("OPTIONS", "/auth/login", headers=asked)
    assert (answer.status, answer.json["code"]) == (403, "origin_not_allowed")


def test_the_handshake_by_hand_says_what_is_wrong(stack, accounts):
    login = accounts.login(accounts.create())
    start = TROUBLES.index("    curl -i --max-time 3")
    command = TROUBLES[start:TROUBLES.index("# 101", start)].replace("6006", str(stack.port)).replace(
        "user123", login["user_id"],
    )

    def answer(session, command=command):
        done = subprocess.run(["bash", "-c", f"S={session}\n{command}"], capture_output=True)
        return done.stdout.decode(errors="replace")

    well = answer(login["session_id"])
    assert well.startswith("HTTP/1.1 101") and '"type":"Welcome"' in well
    assert answer("ended").startswith("HTTP/1.1 401")
    dropped = answer(login["session_id"], command.replace("-H 'Connection: Upgrade' -H 'Upgrade: websocket'", ""))
    assert dropped.startswith("HTTP/1.1 426") and "A proxy in between must pass Upgrade and Connection" in dropped
    foreign = answer(login["session_id"], command.replace("curl -i", "curl -i -H 'Origin: https://shop.example'"))
    assert foreign.startswith("HTTP/1.1 403") and "origin_not_allowed" in foreign


def test_an_upload_over_the_server_s_limit_has_a_document(stack, said):
    # The adapter knows the limit, and does not even begin.
    failed = said.run("return await adapter.uploadFile(new File([new Uint8Array(300000)], 'a.bin'))")["failed"]
    assert (failed["code"], failed["field"]) == ("invalid_argument", "file.size")
    (session,) = note_sessions(stack, said)
    done = subprocess.run(
        ["curl", "-si", f"http://localhost:{stack.port}/api/files/upload", "-H", f"X-Session-Id: {session}",
         "-F", "file=@-;filename=a.bin"],
        input=bytes(300_000), capture_output=True, check=True,
    )
    assert b"413" in done.stdout.splitlines()[0] and b'"code":"too_large"' in done.stdout
