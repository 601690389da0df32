"""TLS in front of the local AWS: certificates of our own, and a terminator in a process of its own.

    python -m benchmarks.tls CERTIFICATE KEY PORT

listens on loopback, prints where, and forwards to ``PORT``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import frozen

HOST = "localhost"
CHUNK_BYTES = 65536


@frozen
class Certificates:
    """The files of an authority, and of the certificate for ``localhost``, with the one between them, and its key."""

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, one below it, and what that one vouches for: AWS too has one between."""
    from cryptography import x509  # noqa: PLC0415  the terminator does without it
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415  the same
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  the same

    now = datetime.now(UTC)
    chain = ("benchmark authority", "benchmark intermediate", HOST)
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in chain]
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in names]
    encoding, encryption = serialization.Encoding.PEM, serialization.NoEncryption()
    issued = []
    for index, (subject, key) in enumerate(zip(names, keys, strict=True)):
        issuer = max(index - 1, 0)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(names[issuer])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=subject != names[-1], path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
            .sign(keys[issuer], hashes.SHA256())
        )
        issued.append(certificate.public_bytes(encoding))
    authority, intermediate, leaf = issued
    made = Certificates(folder / "authority.pem", folder / "certificate.pem", folder / "key.pem")
    made.authority.write_bytes(authority)
    made.certificate.write_bytes(leaf + intermediate)
    made.key.write_bytes(keys[-1].private_bytes(encoding, serialization.PrivateFormat.PKCS8, encryption))
    return made


@contextlib.contextmanager
def terminated(certificates: Certificates, port: int) -> Iterator[str]:
    """Run a terminator in front of a port of loopback, and yield its endpoint."""
    command = [sys.executable, "-m", "benchmarks.tls", str(certificates.certificate), str(certificates.key), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"https://{HOST}:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


async def _serve(certificate: str, key: str, port: int) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_forward(reader, back), _forward(there, writer))

    server = await asyncio.start_server(talk, "127.0.0.1", ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1], sys.argv[2], int(sys.argv[3])))
