"""Accounts of their own for one test, with random passwords, made by an administrator through nginx."""

import base64
import secrets

FILE = {"file_name": "a.txt", "file_type": "text/plain", "file_data": base64.b64encode(b"hello").decode()}


def random_password():
    return secrets.token_urlsafe(18)


def random_name(prefix):
    return f"{prefix}-{secrets.token_hex(5)}"


class Accounts:
    """What an administrator does; `support001` unless another login is given."""

    def __init__(self, stack, admin=None):
        self.stack = stack
        self.admin = admin or stack.login("support001")

    def call(self, method, path, json=None, by=None, **options):
        """A request of the administrator, or of another login."""
        return self.stack.http(method, path, json=json, session=(by or self.admin)["session_id"], **options)

    def done(self, method, path, json=None, by=None, **options):
        """The same, which has to succeed; its document, if it has one."""
        answer = self.call(method, path, json, by, **options)
        assert 200 <= answer.status < 300, (method, path, answer)
        return answer.json if answer.body else None

    def create(self, user_type="Kehu", password=None, **members):
        """An account that nobody is logged in to: its name, its password and its type."""
        person = {
            "user_id": members.pop("user_id", None) or random_name(user_type.lower()), "user_type": user_type,
            "password": password or random_password(),
        }
        self.stack.secrets.add(person["password"])
        self.done("POST", "/api/users", {**person, **members})
        return person

    def login(self, person):
        """A session of an account; the password comes with it."""
        login = self.stack.login(person["user_id"], person["password"], person["user_type"])
        return {**login, "password": person["password"]}

    def person(self, user_type="Kehu", **members):
        """An account and a session of it."""
        return self.login(self.create(user_type, **members))

    def handles(self, login, by=None):
        """The handles of a user's sessions, that of `login` first."""
        path = f"/api/users/{login['user_id']}/sessions"
        listed = self.done("GET", path, by=by or login)["sessions"]
        return [one["session"] for one in sorted(listed, key=lambda one: not one["current"])]

    def upload(self, login):
        """A file of a user's; its id."""
        return self.done("POST", "/api/files/upload", FILE, by=login)["file_id"]

    def begin_upload(self, login):
        """An upload of a user's that has no bytes yet; its id."""
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
        answer = self.call("POST", "/api/files/uploads", by=login, headers=headers)
        assert answer.status == 201, answer
        return answer.header("Location").rsplit("/", 1)[1]
