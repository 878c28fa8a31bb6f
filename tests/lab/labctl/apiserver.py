# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A genuine kube-apiserver with etcd, on this machine alone.

Debian has etcd and, as a source package, Kubernetes. The API server is built once, in a root that mmdebstrap makes and
throws away; what comes out of it lies in `.build/kube`.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import requests

from labctl import mirror
from labctl.common import BUILD, LAB, LabError, Progress
from labctl.engine import host_script
from labctl.image import run_shown

# The release whose source package has everything that it depends on.
SUITE = "bookworm"
FOLDER = BUILD / "kube"
PROGRAMS = ("kube-apiserver", "etcd")
TOKEN = "lab-token"
START_SECONDS = 120.0


class Started(t.NamedTuple):
    url: str
    token: str
    certificate: Path


def ensure() -> Path:
    """The folder with the programs, which are built if they are not there: a quarter of an hour."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not all((FOLDER / name).is_file() for name in PROGRAMS):
            # Half a program that an interrupted build leaves is not taken for one.
            with tempfile.TemporaryDirectory(dir=FOLDER) as new:
                build(Path(new))
                for name in PROGRAMS:
                    (Path(new) / name).replace(FOLDER / name)
    return FOLDER


def build(target: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        host_script("host_packages.sh")
    progress = Progress("kube-apiserver")
    progress.say(f"building it from Debian's source package once; {FOLDER} keeps it")
    binary = mirror.source_lines(SUITE, ("main",))
    source = " && ".join(
        (
            'mkdir "$1/src" && cd "$1/src"',
            'export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"',
            "apt-get --quiet --only-source --download-only source kubernetes",
            # As in 1.20.5+really1.20.2-1.1
            "ls kubernetes_*.dsc | sed 's/^kubernetes_//; s/.dsc$//' > version",
        )
    )
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        "--include=golang-go,etcd-server",
        '--aptopt=Acquire::Languages "none"',
        *(f"--aptopt={option}" for option in mirror.proxy_options()),
        f"--customize-hook={source}",
        f"--customize-hook=copy-in {LAB / 'kube' / 'build.sh'} /src",
        '--customize-hook=chroot "$1" /src/build.sh',
        f"--customize-hook=copy-out /usr/bin/etcd /kube-apiserver {target}",
        SUITE,
        "/dev/null",
        *binary,
        *(line.replace("deb ", "deb-src ", 1) for line in binary),
    ]
    run_shown(argv, progress)
    progress.say("ready")


@contextlib.contextmanager
def run(folder: Path) -> t.Iterator[Started]:
    """A cluster without nodes. Its data, keys and logs are in `folder`."""
    programs = ensure()
    store, peers, port = _free_ports(3)
    _write_keys(folder)
    etcd = [
        str(programs / "etcd"),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{store}",
        f"--advertise-client-urls=http://127.0.0.1:{store}",
        f"--listen-peer-urls=http://127.0.0.1:{peers}",
        "--unsafe-no-fsync",
    ]
    server = [
        str(programs / "kube-apiserver"),
        f"--etcd-servers=http://127.0.0.1:{store}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",  # it makes its own
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-cluster-ip-range=10.99.0.0/24",
        "--service-account-issuer=https://lab.invalid",
        f"--service-account-key-file={folder / 'accounts.pem'}",
        f"--service-account-signing-key-file={folder / 'accounts.pem'}",
        # Its accounts are made by a controller that does not run here.
        "--disable-admission-plugins=ServiceAccount",
    ]
    started = Started(f"https://127.0.0.1:{port}", TOKEN, folder / "certificates" / "apiserver.crt")
    with _running(etcd, folder / "etcd.log"), _running(server, folder / "kube-apiserver.log") as child:
        _wait(started, child, folder / "kube-apiserver.log")
        yield started


def _write_keys(folder: Path) -> None:
    (folder / "tokens.csv").write_text(f"{TOKEN},lab,lab,system:masters\n")
    argv = ["openssl", "genrsa", "-out", str(folder / "accounts.pem"), "2048"]
    subprocess.run(argv, capture_output=True, check=True)


@contextlib.contextmanager
def _running(argv: t.Sequence[str], log: Path) -> t.Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait(started: Started, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    # The namespace is made by the server itself, last of all.
    address = f"{started.url}/api/v1/namespaces/default"
    headers = {"Authorization": f"Bearer {started.token}"}
    while time.monotonic() < deadline and child.poll() is None:
        # Until there is a certificate, requests complains of its absence.
        with contextlib.suppress(requests.RequestException, OSError):
            if requests.get(address, headers=headers, verify=str(started.certificate), timeout=5).ok:
                return
        time.sleep(0.5)
    raise LabError(f"kube-apiserver does not start:\n{log.read_text()[-3000:]}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _number in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [t.cast("int", one.getsockname()[1]) for one in found]
