# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secure Boot and the keys that firmware knows, from bytes and texts. Pure. PRIVATE to the collection."""

from __future__ import annotations

import base64
import hashlib
import re
import typing as t

VARIABLE = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where DKMS finds the certificate it signs with. Source: dkms(8), mok_certificate; Ubuntu's dkms uses shim's key.
CERTIFICATES = ("/var/lib/dkms/mok.pub", "/var/lib/shim-signed/mok/MOK.der")
_SHA1 = re.compile(r"^\s*SHA1 Fingerprint:\s*([0-9A-Fa-f:]{59})\s*$", re.MULTILINE)
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def enabled(variable: t.Optional[bytes]) -> t.Optional[bool]:
    """From the efivarfs file: four bytes of attributes, then the value. None where there is no such variable."""
    return None if variable is None or len(variable) != 5 else variable[4] == 1


def fingerprints(text: str) -> t.Tuple[str, ...]:
    """SHA-1 of each key in what `mokutil --list-enrolled` or `--list-new` prints, as plain lower-case digits."""
    return tuple(found.replace(":", "").lower() for found in _SHA1.findall(text))


def fingerprint(certificate: bytes) -> str:
    """SHA-1 of a certificate in DER or PEM, as mokutil names it."""
    pem = _PEM.search(certificate)
    der = base64.b64decode(pem.group(1)) if pem else certificate
    return hashlib.sha1(der).hexdigest()
