"""The integrators' guide's own front-end test, unchanged: compiled by `tsc`, run in Chromium from another origin."""

import json
import shutil
import subprocess

import pytest

from browser import Site
from pages import chromium
from stack import ROOT

FIXTURES = ROOT / "Tests/EndToEndTests/fixtures"
SERVICES = ROOT / "deploy/web/services"
# The addresses that the guide prints: the page's, which its `allowed_origins` has, and the backend's.
PAGE, BACKEND = "localhost:8004", "localhost:6006"
TSCONFIG = {
    "compilerOptions": {
        "strict": True, "target": "es2020", "module": "es2020", "moduleResolution": "node",
        "lib": ["es2022", "dom", "dom.iterable"], "types": [],
    },
    "include": ["tests/*.ts"],
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A project as the guide has it: `tests` beside `services`."""
    project = tmp_path_factory.mktemp("guide")
    shutil.copytree(SERVICES, project / "services")
    (project / "tests").mkdir()
    for name in ("backend-integration.test.ts", "guide-calls.ts", "jest-globals.d.ts"):
        shutil.copy(FIXTURES / name, project / "tests")
    (project / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    done = subprocess.run(["tsc", "-p", str(project)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    return project


def test_the_guide_s_test_file_passes(stack, compiled):
    site = Site()
    site.files["/"] = ("text/html", b"<!doctype html><meta charset=utf-8><title>tests</title>")
    site.files["/runner.js"] = ("text/javascript", (FIXTURES / "test-runner.js").read_bytes())
    script = (compiled / "tests/backend-integration.test.js").read_bytes()
    site.files["/tests/backend-integration.test.js"] = ("text/javascript", script)
    for path in SERVICES.glob("*.js"):
        site.files[f"/services/{path.name}"] = ("text/javascript", path.read_bytes())
    # The import has no extension: bundlers find the file, and so does this server.
    site.files["/services/enterprise-adapter"] = ("text/javascript", b"export * from './enterprise-adapter.js';")
    rules = f"MAP {PAGE} 127.0.0.1:{site.port}, MAP {BACKEND} 127.0.0.1:{stack.port}"
    try:
        with chromium(f"--host-resolver-rules={rules}") as browser:
            page = browser.new_page()
            page.goto(f"http://{PAGE}/")
            results = page.evaluate("""async () => {
                await import('/runner.js');
                await import('/tests/backend-integration.test.js');
                return await runTests();
            }""")
            kept = page.evaluate("Object.values(localStorage)")
            stack.secrets.update(json.loads(one)["id"] for one in kept if '"id"' in one)
    finally:
        site.close()
    assert results == [
        {"name": "后端集成测试 › 用户登录", "failure": None},
        {"name": "后端集成测试 › WebSocket连接", "failure": None},
    ]
