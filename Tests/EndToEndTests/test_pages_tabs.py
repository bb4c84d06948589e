"""More than one tab, person or reading at a time: what one of them does to what another one shows."""

import json

from page_fixtures import accounts, browser, nobody_else, stack, visitor
from waiting import until


def errors_of(page):
    """The `Error` frames that come over a page's sockets from now on."""
    found = []

    def came(data):
        frame = json.loads(data)
        if frame["type"] == "Error":
            found.append(frame)

    page.page.on("websocket", lambda socket: socket.on("framereceived", came))
    return found


def test_an_agent_looks_at_what_another_one_does_and_is_given_it(stack, accounts, visitor):
    guest, first, second = visitor("guest"), visitor("first"), visitor("second")
    errors = errors_of(second)
    first.agent(accounts.create("Kefu", user_name="Anna"))
    guest.guest("Olga")
    guest.write("to Anna")
    guest.see("#situation", "You are talking to Anna")
    bert = accounts.create("Kefu", user_name="Bert")
    second.agent(bert)
    second.page.click("details summary")
    second.see("details button.conversation", "Olga").click()
    second.see(".pane .bubble", "to Anna")
    second.see(".pane .situation", "served by Anna")
    # Whoever only looks has read nothing, is refused nothing, and is offered nothing that would be.
    assert guest.page.locator(".own .marks.read").count() == 0
    assert second.page.locator(".pane-actions button").count() == 0
    answer = stack.http(
        "POST", f"/api/conversations/c:{guest.user()}/transfer", json={"agent_id": bert["user_id"]},
        session=accounts.admin["session_id"],
    )
    assert answer.status == 200, answer
    guest.see("#situation", "You are talking to Bert")
    guest.write("to Bert")
    second.see(".pane .bubble", "to Bert")
    guest.see(".own .marks.read")
    assert errors == []


def test_what_comes_while_a_conversation_is_read_is_shown(accounts, visitor):
    guest, former, agent = visitor("guest"), visitor("former"), visitor("agent")
    login = accounts.create("Kefu", user_name="Anna")
    former.agent(login)
    guest.guest("Rudi")
    guest.write("before")
    guest.see("#situation", "You are talking to Anna")
    # Another browser of the agent's has nothing of it, and reads it from the server.
    held = []
    agent.page.route("**/api/messages?*", lambda route: held.append((route, route.fetch())))
    agent.agent(login)
    agent.see("button.conversation", "Rudi").click()
    agent.until("() => document.querySelector('.pane')")
    until(lambda: agent.page.evaluate("() => 1") and held, "the page is read")
    guest.write("meanwhile")
    agent.see(".pane .bubble", "meanwhile")
    agent.write("my answer")
    agent.see(".pane .own .marks")
    for route, answer in held:
        route.fulfill(response=answer)
    agent.see(".pane .bubble", "before")
    assert [text for text in agent.bubbles() if text in ("before", "meanwhile", "my answer")] == [
        "before", "meanwhile", "my answer",
    ]


def test_a_guest_who_begins_in_a_second_tab_goes_on_in_the_first_one_s_conversation(accounts, visitor, browser):
    context = browser.new_context(locale="en-GB")
    first, second = visitor("first", context), visitor("second", context)
    second.open("/").see("#guest-name")
    first.guest("Tabea")
    first.write("from the first tab")
    first.see(".own .marks")
    second.page.fill("#guest-name", "Tabea")
    second.page.click("#guest button")
    second.see(".own .bubble", "from the first tab")
    assert second.user() == first.user()
    second.write("from the second tab")
    first.see(".own .bubble", "from the second tab")


def test_agents_of_one_browser_log_out_and_in_and_see_nothing_of_each_other(accounts, visitor, browser):
    context = browser.new_context(locale="en-GB")
    guest, first, second = visitor("guest"), visitor("first", context), visitor("second", context)
    anna, bert = accounts.create("Kefu", user_name="Anna"), accounts.create("Kefu", user_name="Bert")
    first.agent(anna)
    guest.guest("Ute")
    guest.write("hello")
    first.see("button.conversation", "Ute").click()
    first.page.fill(".pane textarea", "half a reply of Anna's")
    second.open("/agent/").see(".console .lists")
    second.see("button[aria-label='Log out']").click()
    second.page.click("dialog .primary")
    # Whoever logs in or out in one tab does it in all.
    first.see("#login")
    second._log_in(bert)
    second.see(".me h1", "Bert")
    first.see(".me h1", "Bert")
    first.page.click("details summary")
    first.see("button.conversation", "Ute").click()
    first.see(".pane .bubble", "hello")
    assert first.page.input_value(".pane textarea") == ""


def test_a_conversation_that_is_taken_away_is_not_unread(stack, accounts, visitor):
    agent, guest = visitor("agent"), visitor("guest")
    agent.agent(accounts.create("Kefu"))
    guest.guest("Vera")
    guest.write("one")
    guest.write("two")
    agent.until("() => document.title.startsWith('(2)')")
    answer = stack.http(
        "POST", f"/api/conversations/c:{guest.user()}/close", json={}, session=accounts.admin["session_id"],
    )
    assert answer.status == 200, answer
    agent.until("() => !document.title.startsWith('(')")


def test_a_clock_that_is_wrong_is_not_gone_by(accounts, visitor):
    guest = visitor("guest")
    guest.page.add_init_script("const right = Date.now.bind(Date); Date.now = () => right() + 600_000;")
    guest.guest("Wilma")
    guest.write("ten minutes ahead")
    guest.see("button.recall").click()
    guest.see(".own.recalled")
