"""Where the server may listen, and with which credentials."""

from __future__ import annotations

import ipaddress
import logging
import ssl
from pathlib import Path
from typing import Any, cast

import grpc

from wancore.errors import InvalidInput
from wancore_server.settings import ServerSettings

log = logging.getLogger(__name__)


def host_of(address: str) -> str:
    """The host in HOST:PORT. Raises `InvalidInput`."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535 or not host:
        raise InvalidInput("address", address, "HOST:PORT or unix:PATH")
    return host.strip("[]")


def is_local(address: str) -> bool:
    """Whether only this machine can reach it."""
    if address.startswith("unix:"):
        return True
    host = host_of(address)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(settings: ServerSettings) -> None:
    """Raises `InvalidInput` for an address that others can reach without TLS."""
    if is_local(settings.address) or settings.tls_certificate is not None:
        return
    if not settings.insecure_bind:
        accepted = "an address of this machine, TLS (tls_certificate, tls_key), or --insecure-bind"
        raise InvalidInput("address", settings.address, accepted)
    log.warning("listening on %s without TLS: tokens and frames can be read on the way", settings.address)


def credentials(settings: ServerSettings) -> grpc.ServerCredentials | None:
    """TLS, read again whenever the files change; None without. Raises `InvalidInput`."""
    if settings.tls_certificate is None and settings.tls_key is None:
        return None
    if settings.tls_certificate is None or settings.tls_key is None:
        raise InvalidInput("tls_key", str(settings.tls_key), "both tls_certificate and tls_key, or neither")
    files = Certificates(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    return grpc.dynamic_ssl_server_credentials(
        files.configuration(),
        cast(Any, files.changed),  # None: as before, which the stubs do not know
        require_client_authentication=settings.tls_client_ca is not None,
    )


class Certificates:
    """The three files; a broken new version is not taken."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self.certificate, self.key, self.client_ca = certificate, key, client_ca
        self.seen = self.stamp()

    @property
    def files(self) -> tuple[Path, ...]:
        return (self.certificate, self.key, *((self.client_ca,) if self.client_ca is not None else ()))

    def stamp(self) -> tuple[int, ...]:
        return tuple(path.stat().st_mtime_ns for path in self.files)

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """Raises `InvalidInput` where the files do not fit together."""
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key)
            pair = (self.key.read_bytes(), self.certificate.read_bytes())
            roots = self.client_ca.read_bytes() if self.client_ca is not None else None
        except (OSError, ssl.SSLError) as error:
            accepted = f"a PEM chain with its key ({type(error).__name__})"
            raise InvalidInput("tls_certificate", str(self.certificate), accepted) from error
        return grpc.ssl_server_certificate_configuration([pair], roots)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called by gRPC for each new connection; None: as before."""
        try:
            stamp = self.stamp()
            if stamp == self.seen:
                return None
            configuration = self.configuration()
        except (OSError, InvalidInput):
            log.exception("the new certificate cannot be used; the old one stays")
            return None
        self.seen = stamp
        log.info("certificate reloaded")
        return configuration
