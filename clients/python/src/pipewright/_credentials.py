"""Credentials of calls."""

from __future__ import annotations

import base64
import unicodedata


def authorization(
    token: str | None = None, username: str | None = None, password: str | None = None
) -> str | None:
    """The value of the header `authorization`, or None for a caller without credentials.

    Raises ValueError, which never repeats a secret, for invalid credentials.
    """
    if username is None and password is None:
        return None if token is None else _bearer(token)
    if token is not None:
        raise ValueError("credentials are a token, or a username and a password, not both")
    if username is None or password is None:
        raise ValueError("a username and a password are given together")
    return _basic(username, password)


def _bearer(token: str) -> str:
    if not token or not all("!" <= character <= "~" for character in token):
        raise ValueError("a token is one or more visible ASCII characters")
    return f"Bearer {token}"


def _basic(username: str, password: str) -> str:
    """RFC 7617, in UTF-8."""
    if not username or ":" in username:
        raise ValueError("a username is not empty and has no colon")
    # Lone surrogates cannot be encoded, and that error would contain the password.
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in username + password):
        raise ValueError("usernames and passwords have no control characters and no surrogates")
    pair = f"{username}:{password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
