"""Which messages are exchanged: [binary, octets, pieces] each."""

import random

SMALL = 4096
LONG, N_LONG = 65536, 200
HUGE, N_HUGE = 1048576, 10


def plan(count):
    """`count` messages of 0 to 4 KiB, of which a share is longer: of 10,000
    there are 200 of 64 KiB and 10 of 1 MiB; always one of each. A quarter is
    fragmented, half is binary."""
    chance = random.Random(count)
    huge = max(1, count * N_HUGE // 10000)
    long = max(1, count * N_LONG // 10000)
    sizes = [HUGE] * huge + [LONG] * long
    sizes += [0, 1, 125, 126, 127, SMALL]
    sizes += [chance.randint(0, SMALL) for _ in range(count - len(sizes))]
    chance.shuffle(sizes)
    return [
        [
            chance.random() < 0.5,
            size,
            chance.randint(2, 5) if chance.random() < 0.25 else 1,
        ]
        for size in sizes
    ]
