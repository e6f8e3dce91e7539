"""The clients under test, and what they lack on purpose."""

from dataclasses import dataclass
from pathlib import Path

CLIENTS = Path(__file__).parent.parent


@dataclass(frozen=True)
class Client:
    """A client, its player, and the parts of the scenario that it leaves out."""

    name: str
    command: tuple[str, ...]
    lacks: frozenset[str] = frozenset()

    @property
    def language(self) -> str:
        """The name shared by several players of one client."""
        return self.name.partition("-")[0]


ALL = (
    Client("go", (str(CLIENTS / "go/player"),)),
    Client("python", (str(CLIENTS / "python/player"),)),
    Client("python-asyncio", (str(CLIENTS / "python/player"), "asyncio")),
    Client("typescript", (str(CLIENTS / "typescript/player"),)),
    # The browser decides which authorities a page trusts.
    Client(
        "typescript-browser",
        (str(CLIENTS / "typescript/player"), "browser"),
        lacks=frozenset({"tls"}),
    ),
    Client("java", (str(CLIENTS / "java/player"),)),
    # The command line reads a log to its end, and each command is a client of its own.
    Client(
        "cli",
        ("python3", str(CLIENTS / "conformance/cli_player.py")),
        lacks=frozenset({"close", "limit_bytes"}),
    ),
)
