# Copyright (c) 2026 accel.gpu maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.accel.gpu.plugins.module_utils._rolling.batches import batches
from ansible_collections.accel.gpu.plugins.module_utils._rolling.model import Host, Rolling, Size
from ansible_collections.accel.gpu.plugins.module_utils._rolling.parse import left_out, parse_hosts, parse_rolling

MAPPING = "a mapping such as {serial: [1, 5%, 20%], max_failures: 2, max_per_domain: 1}"
SIZE = 'a number of hosts, a share such as "20%", or a list of these'


def hosts(text):
    """ "a1 b1 c" are three hosts: a letter and its number is the failure domain, no number is none."""
    return [
        Host(f"{word}-{place}", Rolling(), word if word[-1].isdigit() else None)
        for place, word in enumerate(text.split())
    ]


@pytest.mark.parametrize(
    ("text", "serial", "per_domain", "expected"),
    [
        ("n n n", [Size(1)], 1, ["n-0", "n-1", "n-2"]),
        ("n n n n n", [Size(1), Size(2)], 1, ["n-0", "n-1 n-2", "n-3 n-4"]),
        ("n n n n n n", [Size(1), Size(50, True)], 1, ["n-0", "n-1 n-2 n-3", "n-4 n-5"]),
        # 5 % of 6 is less than one host.
        ("n n n n n n", [Size(5, True), Size(100, True)], 1, ["n-0", "n-1 n-2 n-3 n-4 n-5"]),
        ("a1 a1 b1 b1", [Size(4)], 1, ["a1-0 b1-2", "a1-1 b1-3"]),
        ("a1 a1 b1 b1", [Size(4)], 2, ["a1-0 a1-1 b1-2 b1-3"]),
        ("a1 a1 a1 n n", [Size(1), Size(3)], 1, ["a1-0", "a1-1 n-3 n-4", "a1-2"]),
        # The batch after a smaller one has the next size all the same.
        ("a1 a1 a1 b1", [Size(2), Size(1)], 1, ["a1-0 b1-3", "a1-1", "a1-2"]),
        ("", [Size(1)], 1, []),
    ],
)
def test_batches(text, serial, per_domain, expected):
    assert [" ".join(batch) for batch in batches(hosts(text), serial, per_domain)] == expected


SIZES = st.one_of(st.integers(1, 30).map(Size), st.integers(1, 100).map(lambda share: Size(share, percent=True)))


@given(
    domains=st.lists(st.sampled_from(["r1", "r2", "r3", "r4", None]), max_size=40),
    serial=st.lists(SIZES, min_size=1, max_size=4),
    per_domain=st.integers(1, 3),
    forks=st.one_of(st.none(), st.integers(1, 10)),
)
def test_properties(domains, serial, per_domain, forks):
    all_hosts = [Host(f"n{place}", Rolling(), domain) for place, domain in enumerate(domains)]
    found = batches(all_hosts, serial, per_domain, forks)
    domain_of = {host.name: host.domain for host in all_hosts}
    assert sorted(name for batch in found for name in batch) == sorted(domain_of)
    left = [host.name for host in all_hosts]
    for number, batch in enumerate(found):
        limit = min(serial[min(number, len(serial) - 1)].of(len(all_hosts)), forks or len(all_hosts))
        count = collections.Counter(domain_of[name] for name in batch if domain_of[name])
        assert 1 <= len(batch) <= limit
        assert all(of_domain <= per_domain for of_domain in count.values())
        assert batch[0] == left[0]
        left = [name for name in left if name not in batch]
        if len(batch) < limit:
            # Nobody who is left could have come along.
            assert all(domain_of[name] and count[domain_of[name]] == per_domain for name in left)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, Rolling()),
        ({}, Rolling()),
        ({"serial": 3}, Rolling(serial=(Size(3),))),
        ({"serial": "3"}, Rolling(serial=(Size(3),))),
        ({"serial": "25%"}, Rolling(serial=(Size(25, True),))),
        (
            {"serial": [1, "5%", "20%"], "max_failures": 2, "max_per_domain": 1, "drain_timeout": 172800},
            Rolling(max_failures=2, drain_timeout=172800.0),
        ),
        ({"drain_poll": 0.5, "verify_timeout": 60}, Rolling(drain_poll=0.5, verify_timeout=60.0)),
        ({"not_restored": "tell"}, Rolling(not_restored="tell")),
    ],
)
def test_the_variable(value, expected):
    assert parse_rolling(value) == expected


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ([1], [f"gpu_driver_upgrade: [1] is a list; give {MAPPING}"]),
        ({"serial": 0}, [f"gpu_driver_upgrade.serial: 0 is no size of a batch; give {SIZE}"]),
        ({"serial": True}, [f"gpu_driver_upgrade.serial: true is no size of a batch; give {SIZE}"]),
        ({"serial": "120%"}, [f'gpu_driver_upgrade.serial: "120%" is no size of a batch; give {SIZE}']),
        ({"serial": []}, [f"gpu_driver_upgrade.serial: the list is empty; give {SIZE}"]),
        ({"serial": [1, "x"]}, [f'gpu_driver_upgrade.serial[1]: "x" is no size of a batch; give {SIZE}']),
        (
            {"max_failures": -1, "max_per_domain": 0, "drain_timeout": "2d"},
            [
                "gpu_driver_upgrade.max_failures: -1 is out of range; give an integer, 0 or more",
                "gpu_driver_upgrade.max_per_domain: 0 is out of range; give an integer, 1 or more",
                'gpu_driver_upgrade.drain_timeout: "2d" is a string; give a number of seconds, 1 to 2592000',
            ],
        ),
        # What gpu_drain would refuse on each node is refused before the first.
        (
            {"drain_timeout": 2592001, "drain_poll": 0.01, "verify_timeout": 0},
            [
                "gpu_driver_upgrade.drain_timeout: 2592001 is out of range; give a number of seconds, 1 to 2592000",
                "gpu_driver_upgrade.drain_poll: 0.01 is out of range; give a number of seconds, 0.1 to 86400",
                "gpu_driver_upgrade.verify_timeout: 0 is out of range; give a number of seconds, 1 to 86400",
            ],
        ),
        (
            {"serail": 1},
            [
                'gpu_driver_upgrade: unknown key "serail"; allowed are serial, max_failures, max_per_domain, '
                "drain_timeout, drain_poll, verify_timeout, not_restored"
            ],
        ),
        ({"not_restored": "warn"}, ['gpu_driver_upgrade.not_restored: "warn" is unknown; allowed is fail, tell']),
        ({"not_restored": ["fail"]}, ['gpu_driver_upgrade.not_restored: ["fail"] is unknown; allowed is fail, tell']),
    ],
)
def test_a_wrong_variable(value, messages):
    hosts, problems = parse_hosts(["n1"], {"n1": {"gpu_driver_upgrade": value}})
    assert hosts == []
    assert problems == [f"n1: {message}" for message in messages]


def test_a_template_that_was_not_resolved_is_no_domain():
    found, problems = parse_hosts(["n1"], {"n1": {"accel_gpu_failure_domain": "{{ rack }}"}})
    assert found[0].domain is None
    assert problems == [
        'n1: accel_gpu_failure_domain: "{{ rack }}" names a variable that is undefined here; define it for the host'
    ]


def test_what_hosts_say_beside_it():
    variables = {
        "n1": {"gpu_driver_upgrade": {"max_failures": 2}, "accel_gpu_failure_domain": "r1"},
        "n2": {"accel_gpu_scheduler": "pbs", "accel_gpu_failure_domain": 7, "gpu_driver_reboot": "always"},
        "n3": {
            "accel_gpu_scheduler": "command",
            "accel_gpu_failure_domain": ["r1"],
            "gpu_driver_state": "absent",
        },
    }
    found, problems = parse_hosts(["n1", "n2", "n3"], variables)
    assert [(host.name, host.domain) for host in found] == [("n1", "r1"), ("n2", "7"), ("n3", None)]
    same = "give all hosts of a run the same, or upgrade them in runs of their own"
    assert problems == [
        'n2: accel_gpu_scheduler: "pbs" is unknown; allowed are none, slurm, kubernetes, command',
        'n2: gpu_driver_reboot: "always" is unknown; allowed are never, if_needed',
        'n3: accel_gpu_failure_domain: ["r1"] is not the name of a failure domain; give a word such as the rack\'s',
        'n3: gpu_driver_state: "absent" is no upgrade; set present, and to go back declare the version of before. '
        "On a drained node accel.gpu.site does what you declare, with gpu_driver_change_loaded: true",
        "n3: accel_gpu_drain_command is missing; accel_gpu_scheduler: command needs the program that drains",
        f"n2: gpu_driver_upgrade.max_failures differs from that of n1; {same}",
        f"n3: gpu_driver_upgrade.max_failures differs from that of n1; {same}",
    ]


NO_DRIVER = "declares no driver, see gpu_driver_version and gpu_driver_branch"
NO_GPU = "declares no GPU, see accel_gpu_expected"


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"gpu_driver_branch": 580}, None),
        ({"gpu_driver_version": "580.126.16"}, None),
        ({"gpu_driver_source": "distribution"}, None),
        # Without a version the role takes its default branch.
        ({"gpu_driver_enabled": True}, None),
        ({"gpu_driver_enabled": "yes"}, None),
        ({"gpu_driver_state": "absent"}, None),  # an error then, see above
        ({}, NO_DRIVER),
        ({"gpu_driver_branch": "", "gpu_driver_source": "mirror"}, NO_DRIVER),
        ({"gpu_driver_enabled": False, "gpu_driver_version": "580.126.16"}, NO_DRIVER),
        ({"gpu_driver_branch": "580", "accel_gpu_expected": {"count": 0}}, NO_GPU),
        ({"gpu_driver_branch": "580", "accel_gpu_use": "none"}, NO_GPU),
    ],
)
def test_who_is_left_out(own, why):
    assert left_out({"accel_gpu_expected": {"count": 8}, **own}) == why
