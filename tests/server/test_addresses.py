"""Where the server listens, and with which certificate."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.server.harness import Server, eventually


def test_addresses_beyond_this_machine(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.address = "0.0.0.0:0"
    assert server.launch().wait(20) == 1
    assert "--insecure-bind" in server.log.read_text()
    server.settings["insecure_bind"] = True
    try:
        server.start()
        assert "without TLS" in server.log.read_text()
    finally:
        server.end()


def test_unix_socket(tmp_path: Path) -> None:
    server = Server(tmp_path)
    path = tmp_path / "s"
    server.address = f"unix:{path}"
    try:
        server.start()
        assert path.stat().st_mode & 0o777 == 0o600
        with server.client() as client:
            server.ready(client)
    finally:
        server.end()


def certificate(folder: Path, name: str) -> bytes:
    """A self-signed certificate for 127.0.0.1 in cert.pem and key.pem."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2)).add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    (folder / "cert.pem").write_bytes(pem)
    return pem


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Server, Path, bytes]]:
    pem = certificate(tmp_path, "one")
    server = Server(tmp_path, tls_certificate=str(tmp_path / "cert.pem"), tls_key=str(tmp_path / "key.pem"))
    try:
        yield server.start(), tmp_path, pem
    finally:
        server.end()


def test_tls_and_reload(tls: tuple[Server, Path, bytes]) -> None:
    server, folder, first = tls
    with server.client(root_certificates=first) as client:
        server.ready(client)
    second = certificate(folder, "two")
    with server.client(root_certificates=second, patience_s=1) as client:
        eventually(lambda: client.server_info().version != "", 5)
