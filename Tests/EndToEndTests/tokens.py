"""The tokens of `POST /auth/exchange` (RFC 7515, 7519), as the backend of an operator's site makes them."""

import base64
import hashlib
import hmac
import json
import secrets
import time


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header, claims, secret):
    text = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), hashlib.sha256))}"


def claims_of(user_id, **members):
    """Claims that are good now; `None` takes one away."""
    now = int(time.time())
    claims = {"sub": user_id, "iat": now, "exp": now + 60, "jti": secrets.token_hex(8), **members}
    return {name: value for name, value in claims.items() if value is not None}


def token(secret, user_id, header=None, **members):
    return signed(header or {"alg": "HS256", "typ": "JWT"}, claims_of(user_id, **members), secret)
