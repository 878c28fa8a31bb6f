# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Two OpenPGP keys that gpg 2.2 made for these tests, and their fingerprints. Their private parts are gone."""

FINGERPRINT = "0E1DF25F74818E37ADABF3F2DF5AAD8B14E53200"
KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawdk4xYJKwYBBAHaRw8BAQdAthzPhy7T9eBOZ0othPnfkQDsU4VeTQHjkaLl
f5n+Slq0KGFjY2VsLmdwdSB0ZXN0IDxtYWludGFpbmVyc0BleGFtcGxlLmNvbT6I
kAQTFggAOBYhBA4d8l90gY43ravz8t9arYsU5TIABQJrB2TjAhsDBQsJCAcCBhUK
CQgLAgQWAgMBAh4BAheAAAoJEN9arYsU5TIAwbMBAPOvvLrLOIDqHnaoxQdKUbdR
LkUCXaiQn1luIv6I0UdfAQDB4Yrpr5ma4kuTSHtZP0nftpExgHOKb86Ij3NKvr2E
BQ==
=yeFj
-----END PGP PUBLIC KEY BLOCK-----
"""
OTHER_FINGERPRINT = "C073D23BACECB1A7C0B63CB115E5988763A82249"
OTHER_KEY = """-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawdiuRYJKwYBBAHaRw8BAQdAbkZlWG3KNxFD75O2H4Ad3c4Wr/4YXZIlTWkM
WyVODAm0BmxhYiBlZIiQBBMWCAA4FiEEwHPSO6zssafAtjyxFeWYh2OoIkkFAmsH
YrkCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQFeWYh2OoIkna+wEAuMGZ
fVNRHw0FctqfsargjsOBM0cE4rRi9ObPdBnSO4gA/RSRPo5f1/Ej7jzztWPG7Odt
k+Kn/dp656dcEVwAg/sJ
=h2MP
-----END PGP PUBLIC KEY BLOCK-----
"""
