"""One hop between two processes: the bus of a host against bare Unix sockets.

    python3 bench/bus_bench.py [rounds] [messages]
"""

import os
import subprocess
import sys

import rig

INCLUDES = ["-Iinclude", "-Isrc"]


def main():
    os.chdir(rig.ROOT)
    rig.build_library()
    archive = os.path.join(rig.FOLDER, "libwsocket.a")
    libraries = ["-lz", "-lssl", "-lcrypto", "-lpthread"]
    if not rig.build_program("bus_hop", *INCLUDES, archive, *libraries):
        raise SystemExit("bench/bus_hop.c does not compile")
    program = os.path.join(rig.FOLDER, "bus_hop")
    subprocess.check_call([program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
