"""`deploy/web/examples/react`: checked against React's own types, then run with React in Chromium, from another origin."""

import json
import pathlib
import shutil
import subprocess

import pytest

from adapter_pages import accounts, away
from browser import Site
from pages import chromium
from stack import ROOT
from waiting import until

SETTINGS = {"auth.password_cost": 1}
WEB = ROOT / "deploy/web"
DEBIAN = pathlib.Path("/usr/share/nodejs")
# The addresses that the example names: the backend's, and that of a page that its `allowed_origins` has.
PAGE, BACKEND = "localhost:8004", "localhost:6006"
# React as npm has it, which bundlers make modules of: a file, what it requires, what the example imports of it.
REACT = {
    "react": ("react/cjs/react.development.js", [], ["StrictMode", "useCallback", "useEffect", "useState"]),
    "react/jsx-runtime": ("react/cjs/react-jsx-runtime.development.js", ["react"], ["Fragment", "jsx", "jsxs"]),
    "scheduler": ("scheduler/cjs/scheduler.development.js", [], []),
    "react-dom": ("react-dom/cjs/react-dom.development.js", ["react", "scheduler"], []),
    "react-dom/client": ("react-dom/client.js", ["react-dom"], ["createRoot"]),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The example and the adapter as the repository has them beside each other, compiled."""
    project = tmp_path_factory.mktemp("react")
    shutil.copytree(WEB / "services", project / "services")
    shutil.copytree(WEB / "examples/react", project / "examples/react")
    settings = {
        "extends": "./examples/react/tsconfig.json", "include": ["examples/react/*"],
        "compilerOptions": {"baseUrl": str(DEBIAN), "paths": {"*": ["@types/*", "*"]}},
    }
    (project / "tsconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(["tsc", "-p", str(project)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return project


def test_a_mistake_in_the_example_s_types_is_found(compiled, tmp_path):
    wrong = tmp_path / "wrong"
    shutil.copytree(compiled, wrong)
    chat = wrong / "examples/react/SupportChat.tsx"
    text = chat.read_text()
    for right, mistake in (("adapter.uploadFile(file, setPercent)", "adapter.uploadFile(setPercent)"),
                           ("message.recalled ?", "message.isRecalled ?"), ("<progress max={100}", "<progress max={[]}")):
        assert right in text
        chat.write_text(text.replace(right, mistake, 1))
        done = subprocess.run(["tsc", "--noEmit", "-p", str(wrong)], capture_output=True, text=True)
        assert done.returncode != 0 and "SupportChat.tsx" in done.stdout, mistake


def module(name):
    """A CommonJS file as a module."""
    file, required, names = REACT[name]
    imports = "".join(f"import d{number} from {one!r};" for number, one in enumerate(required))
    known = ", ".join(f"{one!r}: d{number}" for number, one in enumerate(required))
    return f"""{imports}
        const module = {{ exports: {{}} }};
        (function (require, module, exports, process) {{ {(DEBIAN / file).read_text()}
        }})((name) => ({{ {known} }})[name], module, module.exports, {{ env: {{ NODE_ENV: 'development' }} }});
        export default module.exports;
        export const {{ {", ".join(names)} }} = module.exports;
    """


@pytest.fixture(scope="module")
def site(compiled):
    one = Site()
    imports = {name: f"/npm/{name}" for name in REACT}
    one.files["/"] = ("text/html", f"""<!doctype html><html lang=en><meta charset=utf-8><title>shop</title>
        <script type=importmap>{json.dumps({"imports": imports})}</script>
        <div id=root></div><script type=module src=/examples/react/main.js></script>""".encode())
    for name in REACT:
        one.files[f"/npm/{name}"] = ("text/javascript", module(name).encode())
    for path in compiled.rglob("*.js"):
        name = f"/{path.relative_to(compiled)}"
        # Imports have no extension: bundlers find the file, and so does this server.
        one.files[name] = one.files[name.removesuffix(".js")] = ("text/javascript", path.read_bytes())
    # Else it would be two modules.
    one.files["/services/enterprise-adapter"] = ("text/javascript", b"export * from './enterprise-adapter.js';")
    yield one
    one.close()


@pytest.fixture
def page(stack, site):
    rules = f"MAP {PAGE} 127.0.0.1:{site.port}, MAP {BACKEND} 127.0.0.1:{stack.port}"
    with chromium(f"--host-resolver-rules={rules}") as browser:
        page = browser.new_page()
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        # React's development build says by `console.error` what is not as it should be.
        page.on("console", lambda message: "Warning:" in message.text and problems.append(message.text))
        page.goto(f"http://{PAGE}/")
        yield page
        assert problems == []


def test_a_customer_s_chat_in_react(stack, page, accounts):
    person, agent = accounts.create(), accounts.person("Kefu")

    def lines():
        return page.locator("[data-status]").evaluate_all(
            "(all) => all.map((one) => [one.innerText.replace(/\\s+/g, ' ').trim(), one.dataset.status])"
        )

    def texts():
        return [text.split(" ", 1)[1].removesuffix(f" {status}") for text, status in lines()]

    def write(text):
        page.get_by_label("Message", exact=True).fill(text)
        page.get_by_role("button", name="Send").click()

    page.get_by_label("User name").fill(person["user_id"])
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Password").fill(person["password"])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("status").get_by_text("connected", exact=True).wait_for()
    with stack.chat(agent) as chat:
        write("hello")
        got = chat.expect("Chat", content="hello")
        hostile = "<img src=x onerror=alert(1)>"
        chat.send({"type": "Chat", "to_user_id": person["user_id"], "content": hostile})
        chat.send({"type": "Read", "conversation_id": got["conversation_id"], "seq": got["seq"]})
        until(lambda: texts() == ["hello", hostile] and lines()[0][1] == "read", "the answer is shown", timeout=30)
        assert page.locator("img").count() == 0
        page.get_by_label("File").set_input_files(ROOT / "Tests/EndToEndTests/fixtures/photo.jpg")
        assert chat.expect("Chat", content="photo.jpg", timeout=30)["file"]["file_type"] == "Image"
    shown = "(image) => image.complete && image.naturalWidth > 0 && image.width > 0"
    until(lambda: page.get_by_role("img").evaluate(shown), "the picture is shown", timeout=30)
    assert page.locator("progress").count() == 0
    with away(stack.gateway):
        for text in ("one", "two"):
            write(text)
        until(lambda: [status for _, status in lines()[-2:]] == ["queued"] * 2, "they wait", timeout=30)
    until(lambda: [status for _, status in lines()[-2:]] == ["sent"] * 2, "they are sent", timeout=60)
    # The conversation outlives the page.
    expected = ["hello", hostile, "photo.jpg", "one", "two"]
    assert texts() == expected
    page.reload()
    until(lambda: texts() == expected, "all is there again", timeout=30)
    kept = page.evaluate("Object.values(localStorage)")
    stack.secrets.update(json.loads(one)["id"] for one in kept if '"id"' in one)
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("User name").wait_for()
    assert lines() == []
