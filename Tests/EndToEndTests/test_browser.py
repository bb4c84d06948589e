"""Chromium shows uploaded pictures, runs nothing that was uploaded, and uploads by tus from another origin's page."""

import hashlib
import os

import pytest

from browser import EDGE, ELSEWHERE, Browser, Site
from stack import Stack
from uploads import UPLOADS, checksum, picture, send_file, signed_url, stored, uploaded
from waiting import until

SIZE = (301, 200)


@pytest.fixture(scope="module")
def site():
    one = Site()
    yield one
    one.close()


@pytest.fixture(scope="module")
def stack(site):
    """One that trusts the pages of its own site."""
    one = Stack({"cors.allowed_origins": [site.origin()]})
    try:
        yield one.start()
        assert set(one.stop().values()) == {0}
        assert one.leaks() == []
    finally:
        one.remove()


@pytest.fixture(scope="module")
def edge(stack):
    return f"http://{EDGE}:{stack.port}"


@pytest.fixture(scope="module")
def browser(edge, site):
    one = Browser(edge, site.origin())
    yield one
    one.close()


@pytest.fixture(scope="module")
def session(stack, browser, edge):
    """Of a customer who has logged in, in the browser."""
    browser.open(edge)
    login = browser.run("""
        const body = JSON.stringify({username: 'user123', password: 'password123'});
        const headers = {'Content-Type': 'application/json'};
        const answer = await fetch('/auth/login', {method: 'POST', headers, body});
        return await answer.json();
    """)
    stack.secrets.add(login["session_id"])
    return login["session_id"]


# Pictures

SHOW = """
    const image = new Image();
    const shown = new Promise((done) => { image.onload = () => done(true); image.onerror = () => done(false); });
    image.src = given[0];
    document.body.append(image);
    return await shown ? [image.naturalWidth, image.naturalHeight] : null;
"""


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_is_shown_in_place(stack, browser, edge, session, kind):
    shown = stored(send_file(stack, session, picture(kind, SIZE), f"图 {kind}", f"image/{kind.lower()}"))
    assert (shown["width"], shown["height"]) == SIZE
    signed = signed_url(stack, shown["file_id"], session)
    page = stack.directory / "web/gallery.html"
    page.write_text(f"<!doctype html><title>gallery</title><img src='{shown['url']}'><img src='{signed}'>")
    browser.open(edge + "/gallery.html")
    sizes = browser.run("""
        await Promise.all([...document.images].map((image) => image.decode()));
        return [...document.images].map((image) => [image.naturalWidth, image.naturalHeight]);
    """)
    assert sizes == [list(SIZE)] * 2


def test_a_signed_url_shows_a_picture_anywhere_and_a_cookie_only_at_home(stack, browser, site, edge, session):
    shown = stored(send_file(stack, session, picture("PNG", SIZE), "a.png"))
    signed = edge + signed_url(stack, shown["file_id"], session)
    for origin, with_cookie in ((site.origin(), list(SIZE)), (site.origin(ELSEWHERE), None)):
        browser.open(origin)
        assert browser.run(SHOW, signed) == list(SIZE)
        assert browser.run(SHOW, edge + shown["url"]) == with_cookie, origin
        assert browser.run(SHOW, signed + "x") is None


# What a browser could run


def telling(site, name):
    """A script that tells the test that it runs."""
    hit = f"{site.origin()}/hit?{name}"
    return f"document.title = 'ran'; try {{ top.document.title = 'ran' }} catch {{}}; fetch('{hit}');"


def harmful(site, name):
    """A page, a drawing and a script; each tells when it runs."""
    return {
        "html": ("text/html", f"<!doctype html><title>x</title><script>{telling(site, name + 'html')}</script>"),
        "svg": (
            "image/svg+xml",
            f"<svg xmlns='http://www.w3.org/2000/svg'><script>{telling(site, name + 'svg')}</script></svg>",
        ),
        "js": ("text/javascript", telling(site, name + "js")),
    }


@pytest.fixture(scope="module")
def uploads(stack, site, session):
    """Their documents, by kind, and what they hold."""
    found = {}
    for kind, (content_type, text) in harmful(site, "uploaded-").items():
        found[kind] = stored(send_file(stack, session, text.encode(), f"a.{kind}", content_type)), text.encode()
    for kind, (content_type, text) in harmful(site, "own-").items():
        site.files[f"/own.{kind}"] = (content_type, text.encode())
    return found


EMBED = """
    const [tag, url] = given;
    if (tag === 'import') return await import(url).then(() => 'ran', () => 'refused');
    if (tag === 'worker') return await new Promise((done) => {
        const worker = new Worker(url);
        worker.onmessage = () => done('ran');
        worker.onerror = () => done('refused');
    });
    const element = document.createElement(tag);
    const ended = new Promise((done) => {
        element.onload = () => done('loaded');
        element.onerror = () => done('refused');
    });
    if (tag === 'link') element.rel = 'stylesheet';
    element[{object: 'data', link: 'href'}[tag] || 'src'] = url;
    document.body.append(element);
    return ['script', 'link'].includes(tag) ? await ended : 'there';
"""
# Frames say nothing when what they are to show is saved instead.
FRAMES, SCRIPTS = ("iframe", "object", "embed"), ("script", "import", "link")


def requests(stack, path):
    """How often nginx has answered a request for it."""
    return (stack.directory / "nginx/logs/access.log").read_text().count(f'"path":"{path}"')


def assert_nothing_ran(browser, site, title):
    """What was asked for before has had its chance once frames and scripts that do run have told so."""
    assert browser.title == title
    for tag, kind in (("iframe", "html"), ("object", "svg"), ("script", "js")):
        count = site.hits.count(f"own-{kind}")
        browser.run(EMBED, tag, f"{site.origin()}/own.{kind}")
        until(lambda: site.hits.count(f"own-{kind}") > count, f"{kind} of the site itself runs")
    assert not [hit for hit in site.hits if hit.startswith("uploaded-")]


@pytest.mark.parametrize("way", ["cookie", "signed"])
def test_nothing_uploaded_runs_in_a_page(stack, browser, site, edge, session, uploads, way):
    """A page of the same site, which says nothing against it itself."""
    browser.open(site.origin())
    for kind, (document, _) in uploads.items():
        url = edge + (document["url"] if way == "cookie" else signed_url(stack, document["file_id"], session))
        for tag in SCRIPTS:
            assert browser.run(EMBED, tag, url) == "refused", (tag, kind)
        for tag in FRAMES:
            count = requests(stack, document["url"])
            assert browser.run(EMBED, tag, url) == "there"
            until(lambda: requests(stack, document["url"]) > count, f"{tag} has asked for {kind}")
    assert_nothing_ran(browser, site, "page")


def test_nothing_uploaded_runs_in_a_page_of_the_edge(stack, browser, site, edge, uploads):
    (stack.directory / "web/empty.html").write_text("<!doctype html><title>empty</title><body>")
    browser.open(edge + "/empty.html")
    for kind, (document, _) in uploads.items():
        for tag in (*SCRIPTS, "worker"):
            assert browser.run(EMBED, tag, document["url"]) == "refused", (tag, kind)
        count = requests(stack, document["url"])
        browser.run(EMBED, "iframe", document["url"])
        until(lambda: requests(stack, document["url"]) > count, f"the frame has asked for {kind}")
    assert browser.title == "empty"
    browser.open(site.origin())
    assert_nothing_ran(browser, site, "page")


@pytest.mark.parametrize("kind", ["html", "svg", "js"])
def test_who_goes_to_an_uploaded_page_saves_it(stack, browser, site, edge, session, uploads, kind):
    document, content = uploads[kind]
    browser.open(site.origin())
    for url in (document["url"], signed_url(stack, document["file_id"], session)):
        count = browser.downloaded().count(content)
        browser.run("location.href = given[0]", edge + url)
        until(lambda: browser.downloaded().count(content) > count, f"{kind} is saved")
        assert browser.driver.current_url == site.origin() + "/"
    assert_nothing_ran(browser, site, "page")


# tus, as a client in a page of another origin speaks it

TUS = """
    const [edge, session, size, piece, checksum] = given;
    const bytes = new Uint8Array(size).map((_, index) => index * 7 + (index >> 8));
    const call = (method, url, headers, body) => fetch(url, {
        method, body,
        headers: {'Tus-Resumable': '1.0.0', 'X-Session-Id': session, 'X-Request-ID': 'page-1', ...headers},
    });
    const type = {'Content-Type': 'application/offset+octet-stream'};
    const options = await fetch(edge + '/api/files/uploads', {method: 'OPTIONS'});
    const created = await call('POST', edge + '/api/files/uploads', {
        'Upload-Length': size, 'Upload-Metadata': 'filename ' + btoa('page.bin') + ',filetype ' + btoa('video/mp4'),
    });
    const path = created.headers.get('Location'), url = new URL(path, edge);
    const seen = {
        path, version: options.headers.get('Tus-Version'), extension: options.headers.get('Tus-Extension'),
        size_max: options.headers.get('Tus-Max-Size'), algorithms: options.headers.get('Tus-Checksum-Algorithm'),
        expires: created.headers.get('Upload-Expires'), id: created.headers.get('X-Request-Id'), offsets: [],
    };
    const offset = (answer) => seen.offsets.push([answer.status, answer.headers.get('Upload-Offset')]);
    offset(await call('PATCH', url, {...type, 'Upload-Offset': 0}, bytes.slice(0, piece)));
    offset(await call('PATCH', url, {...type, 'Upload-Offset': 7}, bytes.slice(7)));
    const checked = {...type, 'Upload-Offset': piece, 'Upload-Checksum': checksum};
    offset(await call('PATCH', url, checked, bytes.slice(piece, 2 * piece)));
    const head = await call('HEAD', url);
    offset(head);
    seen.length = head.headers.get('Upload-Length');
    seen.metadata = head.headers.get('Upload-Metadata');
    const rest = {...type, 'Upload-Offset': 2 * piece, 'X-HTTP-Method-Override': 'PATCH'};
    offset(await call('POST', url, rest, bytes.slice(2 * piece)));
    const read = await fetch(new URL(path.replace('/api/files/uploads', '/files'), edge), {
        headers: {'X-Session-Id': session, Range: 'bytes=0-9'},
    });
    seen.read = [...new Uint8Array(await read.arrayBuffer())];
    seen.range = read.headers.get('Content-Range');
    const other = await call('POST', edge + '/api/files/uploads', {'Upload-Length': 5});
    seen.ended = (await call('DELETE', new URL(other.headers.get('Location'), edge))).status;
    return seen;
"""


def test_a_trusted_page_uploads_by_tus(stack, browser, site, edge, session):
    size, piece = 300_000, 100_000
    content = bytes((index * 7 + (index >> 8)) & 255 for index in range(size))
    second = checksum(hashlib.sha256, content[piece:2 * piece])
    browser.open(site.origin())
    seen = browser.run(TUS, edge, session, size, piece, second)
    assert isinstance(seen, dict), seen
    document = uploaded(stack, session, seen["path"])
    assert document["sha256"] == hashlib.sha256(content).hexdigest() and document["file_name"] == "page.bin"
    assert seen["offsets"] == [
        [204, str(piece)], [409, str(piece)], [204, str(2 * piece)], [200, str(2 * piece)], [204, str(size)],
    ]
    assert seen["version"] == "1.0.0" and "creation-with-upload" in seen["extension"]
    assert int(seen["size_max"]) > size and seen["algorithms"] == "sha1,sha256"
    assert seen["expires"].endswith(" GMT") and seen["id"] == "page-1" and seen["length"] == str(size)
    assert seen["metadata"].startswith("filename ")
    assert seen["read"] == list(content[:10]) and seen["range"] == f"bytes 0-9/{size}"
    assert seen["ended"] == 204


def test_a_page_that_is_not_trusted_neither_uploads_nor_reads(stack, browser, site, edge, session):
    browser.open(site.origin(ELSEWHERE))
    unfinished = os.listdir(stack.directory / "data/files/uploads")
    assert browser.run(TUS, edge, session, 10, 1, "").startswith("Error TypeError")
    assert browser.run("await fetch(given[0])", edge + UPLOADS).startswith("Error TypeError")
    assert os.listdir(stack.directory / "data/files/uploads") == unfinished
