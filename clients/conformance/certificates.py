"""A certificate authority, and its certificate for 127.0.0.1, created with openssl."""

import subprocess
from pathlib import Path


def make(directory: Path) -> None:
    """Writes ca.crt, service.crt and service.key."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority = ["-subj", "/CN=authority of a test", "-keyout", "ca.key", "-out", "ca.crt"]
    openssl("req", "-x509", *key, "-days", "1", *authority)
    request = ["-subj", "/CN=service of a test", "-keyout", "service.key", "-out", "service.csr"]
    openssl("req", *key, *request)
    (directory / "service.ext").write_text("subjectAltName=IP:127.0.0.1")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", "service.crt"]
    days = ["-days", "1", "-extfile", "service.ext"]
    openssl("x509", "-req", "-in", "service.csr", *signed, *days)
