"""A real browser, and a small site of another origin that its pages come from."""

import http.server
import os
import shutil
import tempfile
import threading

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service


# Names as in the world, since browsers treat addresses and localhost in ways of their own.
EDGE, SAME_SITE, ELSEWHERE = "chat.shop.test", "www.shop.test", "evil.test"


class Site:
    """A web server of one page; what is in `files` it serves too, and `hits` are the queries of `/hit`."""

    def __init__(self):
        self.hits = []
        self.files = {"/": ("text/html", b"<!doctype html><title>page</title><body>")}
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                if path == "/hit":
                    site.hits.append(query)
                content_type, body = site.files.get(path, ("text/plain", b""))
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def origin(self, name=SAME_SITE):
        return f"http://{name}:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Browser:
    """Chromium without a window, with a profile of its own; it trusts these origins as if they were https."""

    def __init__(self, *origins, arguments=(), excluded=()):
        """`arguments` are Chromium's, `excluded` those that the driver would give it of its own accord."""
        self.directory = tempfile.mkdtemp(prefix="support-chat-browser-")
        self.downloads = os.path.join(self.directory, "downloads")
        os.mkdir(self.downloads)
        options = Options()
        options.binary_location = shutil.which("chromium")
        for argument in (
            "--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
            "--disable-background-networking", "--host-resolver-rules=MAP *.test 127.0.0.1",
            f"--user-data-dir={self.directory}/profile",
            # Else it asks whether to save what came without TLS.
            f"--unsafely-treat-insecure-origin-as-secure={','.join(origins)}",
            # The stack runs on this machine; as root Chromium does not start with its sandbox.
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *arguments,
        ):
            options.add_argument(argument)
        if excluded:
            options.add_experimental_option("excludeSwitches", list(excluded))
        options.add_experimental_option("prefs", {
            "download.default_directory": self.downloads, "download.prompt_for_download": False,
            "profile.default_content_setting_values.automatic_downloads": 1,
        })
        # With its path given, selenium looks for no driver elsewhere.
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(20)

    def open(self, url):
        self.driver.get(url)

    def run(self, script, *arguments):
        """Calls the body of an async function in the page; what it returns, or `Error` and its text if it throws."""
        return self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1], given = [...arguments].slice(0, -1);"
            f"(async (...given) => {{ {script} }})(...given).then(done, (error) => done('Error ' + error));",
            *arguments,
        )

    @property
    def title(self):
        return self.driver.title

    def downloaded(self):
        """The contents of what was saved."""
        found = []
        for name in os.listdir(self.downloads):
            if not name.endswith((".crdownload", ".tmp")) and not name.startswith("."):
                with open(os.path.join(self.downloads, name), "rb") as file:
                    found.append(file.read())
        return found

    def close(self):
        self.driver.quit()
        shutil.rmtree(self.directory, ignore_errors=True)
