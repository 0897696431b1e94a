"""The hub's own authority and its certificate: sites trust what the token brings, and nothing else."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.sites.membership import write_private

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

CA_FILE, CERTIFICATE_FILE, KEY_FILE = "hub-ca.pem", "hub-certificate.pem", "hub-key.pem"
# A site that is out of reach for years is not to be locked out by a date; a token can be taken back at any time.
VALID_DAYS = 3650


def ensure_certificate(folder: Path, names: Sequence[str]) -> str:
    """Make the hub's certificate for these host names and addresses where there is none; its authority, as PEM."""
    ca = folder / CA_FILE
    if not all((folder / name).exists() for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE)):
        _make(folder, names)
    return ca.read_text(encoding="ascii")


def _make(folder: Path, names: Sequence[str]) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.UTC)

    def begun(name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
            .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        )

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mindstream hub")])
    ca = (
        begun("mindstream hub", ca_key)
        .issuer_name(ca_name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        begun(names[0], key)
        .issuer_name(ca_name)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    write_private(
        folder / KEY_FILE,
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    write_private(folder / CERTIFICATE_FILE, certificate.public_bytes(pem))
    write_private(folder / CA_FILE, ca.public_bytes(pem))


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
