"""The asyncio client."""

from ._client import Client, connect

__all__ = ["Client", "connect"]
