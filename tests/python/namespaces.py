"""Hosts in network namespaces of their own, and a hub between that can cut them
off."""

import itertools
import os
import shutil
import subprocess

import pytest

numbers = itertools.count()


def ip(*words):
    subprocess.run(["ip", *words], check=True, stderr=subprocess.PIPE)


class Net:
    """A hub with the address HUB, and hosts that reach each other by it."""

    HUB = "10.77.0.1"

    def __init__(self, *hosts):
        if os.geteuid() != 0 or shutil.which("ip") is None:
            pytest.skip("only root makes network namespaces, by ip(8)")
        self.name = "wsk-%d-%d" % (os.getpid(), next(numbers))
        self.hosts = []
        try:
            self._make("hub")
            ip("-n", self.of("hub"), "link", "add", "name", "br", "type", "bridge")
            self._open("hub", "br", self.HUB)
            for number, host in enumerate(hosts, 2):
                self._make(host)
                ip("link", "add", "name", host, "netns", self.of("hub"), "type", "veth",
                   "peer", "name", "eth0", "netns", self.of(host))
                ip("-n", self.of("hub"), "link", "set", "dev", host, "up")
                self._open(host, "eth0", "10.77.0.%d" % number)
                self.join(host)
        except subprocess.CalledProcessError as exc:
            self.close()
            pytest.skip("no network namespaces here: %r" % exc.stderr)

    def of(self, host):
        return "%s-%s" % (self.name, host)

    def within(self, host):
        """The words that begin a command which is to run on a host."""
        return "ip", "netns", "exec", self.of(host)

    def join(self, host):
        ip("-n", self.of("hub"), "link", "set", "dev", host, "master", "br")

    def cut(self, host):
        """Let everything that a host sends, and is sent, vanish."""
        ip("-n", self.of("hub"), "link", "set", "dev", host, "nomaster")

    def close(self):
        for host in self.hosts:
            ip("netns", "del", self.of(host))

    def _make(self, host):
        ip("netns", "add", self.of(host))
        self.hosts.append(host)
        ip("-n", self.of(host), "link", "set", "lo", "up")

    def _open(self, host, link, address):
        ip("-n", self.of(host), "addr", "add", address + "/24", "dev", link)
        ip("-n", self.of(host), "link", "set", "dev", link, "up")
