"""An authority of the tests' own, and a certificate it has given to 127.0.0.1."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LIFE = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """Files a server and its clients are given."""

    root: Path
    """Certificate of the authority: what clients trust."""
    certificate: Path
    key: Path

    @classmethod
    def made(cls, folder: Path) -> Authority:
        """A new one."""
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        name, host = _name("rmsweep tests"), _name("127.0.0.1")
        root = _signed(name, name, root_key.public_key(), root_key, authority=True)
        own = _signed(host, name, key.public_key(), root_key, authority=False)
        made = cls(folder / "root.pem", folder / "server.pem", folder / "server.key")
        made.root.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        made.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    by: ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - LIFE)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([loopback, x509.DNSName("localhost")]), critical=False
        )
        .sign(by, hashes.SHA256())
    )
