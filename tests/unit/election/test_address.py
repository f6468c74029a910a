from __future__ import annotations

import pytest

from merismos.adapters.zookeeper.address import ZooKeeperAddress, ZooKeeperAddressError, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("zk://h/p", ZooKeeperAddress(("h:2181",), "/p")),
        (" zk://h1:1,h2:2 , h3/a/b/ ", ZooKeeperAddress(("h1:1", "h2:2", "h3:2181"), "/a/b")),
        ("zk://user:pa:ss@h:1/p", ZooKeeperAddress(("h:1",), "/p", "user:pa:ss")),
        ("zk://[::1]:7,[::2]/p", ZooKeeperAddress(("[::1]:7", "[::2]:2181"), "/p")),
    ],
)
def test_an_address_means_hosts_a_path_and_credentials(text: str, address: ZooKeeperAddress) -> None:
    assert parse(text) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("h:1/p", "doesn't begin with zk://"),
        ("zk://h:1", "names no path"),
        ("zk://h:1/", "names no path"),
        ("zk:///p", "is no host"),
        ("zk://h,,g/p", "is no host"),
        ("zk://h:port/p", "a port is a number"),
        ("zk://h:65536/p", "a port is a number"),
        ("zk://user@h/p", "user:password"),
        ("zk://:secret@h/p", "user:password"),
        ("zk://h/a/../b", "no relative paths"),
    ],
)
def test_what_is_no_address_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ZooKeeperAddressError, match=says):
        parse(text)


def test_an_address_is_shown_without_its_password() -> None:
    assert str(parse("zk://user:secret@h:1/p")) == "zk://user:…@h:1/p"
