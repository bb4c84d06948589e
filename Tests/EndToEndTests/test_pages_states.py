"""What the pages do beside: sounds, marks, what was refused, uploads that do not go well, every shortcut."""


from page_fixtures import accounts, browser, nobody_else, stack, visitor
from people import NARROW
from routing import set_status
from test_pages import picture
from waiting import until

# Each tone that begins is counted; there is nothing to hear it with.
TONES = """
    window.tones = 0;
    const volume = { setValueAtTime() {}, linearRampToValueAtTime() {}, exponentialRampToValueAtTime() {} };
    window.AudioContext = class {
        currentTime = 0;
        createGain() { return { gain: volume, connect() {} }; }
        createOscillator() {
            return { frequency: {}, connect: (next) => next, start() { window.tones += 1; }, stop() {} };
        }
    };
"""


def tones(page):
    return page.page.evaluate("() => tones")


def served(visitor, accounts, name, prepare=None):
    """A guest and the agent who has their conversation open."""
    agent, guest = visitor("agent"), visitor("guest")
    for one in (agent, guest):
        one.page.add_init_script(TONES)
    if prepare:
        prepare(guest)
    agent.agent(accounts.create("Kefu", user_name="Anna"))
    guest.guest(name)
    guest.write("hello")
    agent.see("button.conversation", name).click()
    agent.see(".pane .bubble", "hello")
    guest.see("#situation", "You are talking to Anna")
    return guest, agent


def said(agent, guest, text):
    agent.write(text)
    guest.see(".other .bubble", text)


def test_a_message_sounds_unless_that_is_turned_off(accounts, visitor):
    guest, agent = served(visitor, accounts, "Sonja")
    # Tones are at least a while apart: what came while the conversation began may have sounded.
    before = tones(guest)
    until(lambda: [said(agent, guest, f"tone {tones(agent)}"), tones(guest) > before][1], "it sounds", 30, interval=0.5)
    before = tones(agent)
    until(lambda: [guest.write("do you hear?"), tones(agent) > before][1], "it sounds for agents too", 30, interval=0.5)

    guest.see("button[aria-label='Sound is on']").click()
    guest.see("button[aria-label='Sound is off']")
    # Longer than two tones have to be apart.
    quiet, since = tones(guest), guest.page.evaluate("() => performance.now()")
    for number in range(3):
        said(agent, guest, f"quiet {number}")
        guest.until("(since) => performance.now() - since > 1600", since)
        since = guest.page.evaluate("() => performance.now()")
    assert tones(guest) == quiet
    guest.page.reload()
    guest.see("button[aria-label='Sound is off']")
    guest.page.click("textarea")
    said(agent, guest, "quiet still")
    assert tones(guest) == 0
    guest.see("button[aria-label='Sound is off']").click()
    said(agent, guest, "and on again")
    until(lambda: tones(guest) == 2, "two tones", 30)
    # A page whose user has done nothing yet may not sound.
    guest.page.reload()
    guest.see("button[aria-label='Sound is on']")
    said(agent, guest, "before a gesture")
    assert tones(guest) == 0


def test_marks_say_how_far_a_message_has_come(stack, accounts, visitor):
    guest = visitor("guest", viewport=NARROW)
    guest.guest("Marek")
    guest.write("anybody?")
    guest.see(".own .marks.sent", "Sent")
    agent = visitor("agent")
    agent.agent(accounts.create("Kefu", user_name="Anna"))
    guest.see(".own .marks.delivered", "Delivered")
    agent.see("button.conversation", "Marek").click()
    guest.see(".own .marks.read", "Read")
    # A customer who does not look has not read.
    guest.page.evaluate("() => { document.hasFocus = () => false; }")
    agent.write("I am here")
    guest.see(".other .bubble", "I am here")
    guest.until("() => document.title.startsWith('(1)')")
    agent.see(".own .marks.delivered", "Delivered")
    guest.page.evaluate("() => { delete document.hasFocus; dispatchEvent(new Event('focus')); }")
    guest.until("() => !document.title.startsWith('(')")
    agent.see(".own .marks.read", "Read")


def test_what_was_refused_is_sent_again_or_discarded(accounts, visitor):
    guest, agent = served(visitor, accounts, "Rita", lambda guest: guest.refuse("first refused"))
    guest.write("first refused")
    guest.see(".own .why", "Not sent: You are not allowed to do that.")
    # It does not keep back what comes after it.
    guest.write("second")
    agent.see(".pane .bubble", "second")
    guest.see(".own button", "Send again").click()
    agent.see(".pane .bubble", "first refused")
    guest.gone(".own .why")
    assert [text for text in agent.bubbles() if text != "hello"] == ["second", "first refused"]
    assert [text for text in guest.bubbles() if text != "hello"] == ["second", "first refused"]


def test_what_was_refused_is_there_after_a_reload_until_it_is_discarded(accounts, visitor):
    guest, agent = served(visitor, accounts, "Dora", lambda guest: guest.refuse("never mind", 2))
    guest.write("never mind")
    guest.see(".own .why", "Not sent")
    guest.page.reload()
    guest.see(".own .why", "Not sent")
    guest.see(".own button", "Send again").click()
    guest.see(".own .why", "Not sent")
    guest.see(".own button", "Discard").click()
    guest.gone(".bubble", "never mind")
    guest.write("something else")
    agent.see(".pane .bubble", "something else")
    guest.page.reload()
    guest.see(".bubble", "something else")
    assert "never mind" not in guest.bubbles() + agent.bubbles()


def test_an_upload_is_tried_again_or_given_up(accounts, visitor):
    guest, agent = served(visitor, accounts, "Ute")
    slow = guest.context.new_cdp_session(guest.page)
    slow.send("Network.enable")

    def network(**given):
        slow.send("Network.emulateNetworkConditions", {
            "offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1, **given,
        })

    def choose(name):
        file = {"name": name, "mimeType": "image/png", "buffer": picture((800, 600), noise=True)}
        guest.page.set_input_files("input[type=file]", file)

    network(uploadThroughput=60_000)
    choose("given-up.png")
    guest.see(".tray progress")
    guest.see("[aria-label='Cancel given-up.png']").click()
    guest.gone(".tray li")
    network()
    # The service is away.
    guest.page.route("**/api/files/**", lambda route: route.fulfill(status=413, body="{}"))
    choose("again.png")
    guest.see(".tray .failed")
    assert guest.page.locator(".tray progress").is_hidden()
    guest.page.unroute("**/api/files/**")
    guest.see("[aria-label='Try again.png again']").click()
    agent.see(".pane img[alt='again.png']")
    guest.gone(".tray li")
    assert agent.page.locator(".pane .picture").count() == 1


def test_every_shortcut_does_what_the_help_says(stack, accounts, visitor):
    login = accounts.person("Kefu", user_name="Anna")
    set_status(stack, login, "Away")
    agent = visitor("agent")
    agent.agent(login)
    names = ("Aaron", "Berta", "Carla")
    for name in names:
        with stack.chat(accounts.person("Kehu", user_name=name)) as chat:
            chat.send({"type": "Chat", "content": f"I am {name}"})
            chat.expect("Ack")
    agent.see("button.take >> nth=2")

    def press(key):
        agent.page.keyboard.press(f"Alt+{key}")

    # The first of the queue, and then the one that is open.
    press("KeyQ")
    agent.see(".pane.active h2", "Aaron")
    agent.see(".pane.active .situation", "you serve this customer")
    press("ArrowDown")
    agent.see(".pane.active h2", "Berta")
    press("KeyT")
    agent.see(".pane.active .situation", "you serve this customer")
    press("ArrowUp")
    agent.see(".pane.active h2", "Aaron")
    # The last one comes by itself, unread.
    agent.page.select_option(".status select", "Online")
    agent.see("button.conversation .badge")
    press("KeyN")
    agent.see(".pane.active h2", "Carla")
    agent.page.select_option(".status select", "Away")
    press("KeyW")
    # Letters alone are text, and with a dialog before it the console hears nothing.
    agent.page.keyboard.type("qtpcsirwh")
    assert agent.page.locator(".pane.active textarea").input_value() == "qtpcsirwh"
    agent.page.locator(".pane.active textarea").fill("")
    for key, words in (("KeyI", "Routing of Carla"), ("KeyR", "Canned replies"), ("KeyH", "Keyboard shortcuts")):
        press(key)
        agent.see("dialog h2", words)
        press("KeyP")
        assert agent.page.locator("dialog").count() == 1
        agent.page.keyboard.press("Escape")
        agent.gone("dialog")
    press("KeyS")
    agent.until("() => document.activeElement.matches('.search input')")
    press("KeyW")
    agent.until("() => document.activeElement.matches('.pane.active textarea')")
    press("ArrowUp")
    agent.see(".pane.active .pane-actions", "Close")
    name = agent.see(".pane.active h2").inner_text()
    press("KeyP")
    agent.see("dialog h2", f"Pass on the conversation with {name}")
    agent.page.select_option("dialog select", "")
    agent.page.click("dialog .primary")
    agent.see("button.take")
    agent.see(".pane.active .situation", "waits in the queue")
    press("KeyT")
    agent.see(".pane.active .situation", "you serve this customer")
    press("KeyC")
    agent.see("dialog h2", f"Close the conversation with {name}?")
    agent.page.click("dialog .primary")
    agent.see(".pane.active .situation", "closed")
