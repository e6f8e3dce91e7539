"""The output of a client, in a form that can be compared with that of another one."""

import re
from typing import Any

from player import Json

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ETAG = re.compile(r"\b[0-9a-f]{8}-(\d+)\b")
# Computed from durations, or opaque.
VARYING = {"progressPercent", "pendingReason", "nextPageToken"}


class Transcript:
    """Lines, with ids numbered in the order of their occurrence, and without times."""

    def __init__(self, directory: str) -> None:
        self.lines: list[tuple[str, Any]] = []
        self._directory = directory
        self._ids: dict[str, str] = {}

    def add(self, step: str, value: Any) -> None:
        """Records the result of a step."""
        self.lines.append((step, self._plain(value)))

    def add_error(self, step: str, error: Json) -> None:
        """Records an error. Without an error from the service the message is the library's own."""
        said = error if error["reason"] else {**error, "message": ""}
        self.add(step, said)

    def _plain(self, value: Any) -> Any:
        match value:
            case dict():
                kept = sorted(value.keys() - VARYING)
                return {key: self._plain(value[key]) for key in kept}
            case list():
                return [self._plain(item) for item in value]
            case str():
                return self._text(value)
        return value

    def _text(self, text: str) -> str:
        text = text.replace(self._directory, "[directory]")
        text = UUID.sub(lambda found: self._id(found[0]), text)
        text = ETAG.sub(r"[etag \1]", text)
        return TIME.sub("[time]", text)

    def _id(self, uuid: str) -> str:
        return self._ids.setdefault(uuid, f"[id {len(self._ids) + 1}]")
