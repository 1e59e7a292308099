"""Certificates for tests of TLS, made by openssl."""

import subprocess
from pathlib import Path


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)


def authority(folder: Path) -> Path:
    """A certificate authority (ca), and a key and certificate each for localhost (server) and for a client."""
    subject = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *subject, "-subj", "/CN=ca", "-keyout", f"{folder}/ca.key", "-out", f"{folder}/ca.pem")
    for name in ("server", "client"):
        files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.pem"]
        ca = ["-CA", f"{folder}/ca.pem", "-CAkey", f"{folder}/ca.key"]
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        openssl("req", "-x509", *subject, "-subj", f"/CN={name}", *names, *ca, *files)
    return folder


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for localhost; who trusts the certificate trusts the server."""
    key, certificate = folder / "server.key", folder / "server.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *curve, *subject, "-keyout", str(key), "-out", str(certificate))
    return key, certificate
