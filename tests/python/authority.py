"""Certificates for the tests: trustme's, in files.

    ca = Authority(folder)
    site = ca.issue("a.example", "127.0.0.1")
    site.certfile, site.keyfile, ca.certfile
"""

import datetime
import itertools
import os

import trustme

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Pair:
    """A certificate with its chain, and its key, each in a file of its own and
    both in ``bothfile``."""

    def __init__(self, folder, name, issued):
        self.certfile = str(folder / (name + ".pem"))
        self.keyfile = str(folder / (name + ".key"))
        self.bothfile = str(folder / (name + ".both"))
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        key = issued.private_key_pem.bytes()
        for path, data in (
            (self.certfile, chain),
            (self.keyfile, key),
            (self.bothfile, key + chain),
        ):
            with open(path, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(data)


class Authority:
    """An authority that no trust store has."""

    def __init__(self, folder, name="tests", signer=None):
        self.folder = folder
        self.name = name
        self.numbers = itertools.count(1)
        if signer is None:
            self.ca = trustme.CA(organization_name=name)
        else:
            self.ca = signer.ca.create_child_ca()
        self.certfile = str(folder / (name + "-ca.pem"))
        self.ca.cert_pem.write_to_path(self.certfile)

    def issue(self, *names, key="ECDSA", days=(-1, 30), **more):
        """A pair for DNS names, addresses or mail addresses, valid from and
        until so many days from now."""
        issued = self.ca.issue_cert(
            *names,
            key_type=trustme.KeyType[key],
            not_before=NOW + days[0] * DAY,
            not_after=NOW + days[1] * DAY,
            **more,
        )
        name = "%s-%d" % (self.name, next(self.numbers))
        return Pair(self.folder, name, issued)
