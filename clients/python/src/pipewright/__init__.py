"""A client of Pipewright, a CI/CD pipeline service.

`connect` makes a client whose calls block, `aio.connect` one for asyncio. Messages are in
`pipewright.v1`.
"""

from . import aio
from ._client import Client, connect
from ._errors import ApiError, FieldViolation
from ._log import LogPiece
from ._stream import Stream
from ._watch import JobUpdate

__all__ = [
    "ApiError",
    "Client",
    "FieldViolation",
    "JobUpdate",
    "LogPiece",
    "Stream",
    "aio",
    "connect",
]
