"""The client for asyncio."""

from ._client import Client, connect

__all__ = ["Client", "connect"]
