"""HTTP as the tests speak it: one request, one connection, nothing hidden."""

import http.client
import json as json_module


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def header(self, name):
        return self.headers.get(name)

    @property
    def json(self):
        return json_module.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers.get('Content-Type')} {self.body[:300]!r}>"


def filled(value, names):
    """A path or a body with its `{names}` filled in."""
    if isinstance(value, str):
        return value.format_map(names)
    if isinstance(value, dict):
        return {filled(name, names): filled(member, names) for name, member in value.items()}
    if isinstance(value, list):
        return [filled(member, names) for member in value]
    return value


def request(
    port, method, path, body=None, headers=None, json=None, session=None, timeout=30, host="127.0.0.1", source=None
):
    """`source` is the client's own address, such as 127.0.0.2."""
    headers = dict(headers or {})
    if json is not None:
        body = json_module.dumps(json).encode()
        headers.setdefault("Content-Type", "application/json")
    if isinstance(body, str):
        body = body.encode()
    if session is not None:
        headers["X-Session-Id"] = session
    connection = http.client.HTTPConnection(
        host, port, timeout=timeout, source_address=(source, 0) if source else None
    )
    try:
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return Response(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def assert_problem(response, status, code=None, detail=None):
    """The answer is an RFC 9457 document with this status, this code and this word in its detail."""
    assert response.status == status, response
    assert (response.header("Content-Type") or "").split(";")[0] == "application/problem+json", response
    document = response.json
    for member in ("type", "title", "status", "detail", "code"):
        assert member in document, f"{member} is missing: {document}"
    assert document["status"] == status, document
    if code is not None:
        codes = (code,) if isinstance(code, str) else tuple(code)
        assert document["code"] in codes, f"code {document['code']}, expected one of {codes}: {document}"
    if detail is not None:
        assert detail in document["detail"], document
    assert response.header("X-Request-Id"), f"no X-Request-Id: {response}"
    return document
