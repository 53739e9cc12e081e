/* net/os/machine: how much memory there is for this process. */
#ifndef WSK_NET_OS_MACHINE_H
#define WSK_NET_OS_MACHINE_H

#include <stdint.h>

/* Octets of memory of the machine, or, where that is less, what the control
 * groups of the process allow. UINT64_MAX: nobody says. */
uint64_t wsk__machine_memory(void);

/* The least that a control group allows, of those in `self` (the text of
 * /proc/self/cgroup) and all above them, version 1 and 2, below `root`
 * (/sys/fs/cgroup). UINT64_MAX: there is no limit. */
uint64_t wsk__cgroup_memory(const char *self, const char *root);

#endif
