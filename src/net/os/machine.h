/* net/os/machine: the memory and the CPUs that this process may use, and random
 * octets. */
#ifndef WSK_NET_OS_MACHINE_H
#define WSK_NET_OS_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Return the bytes of memory of the machine, or, if that is less, of the
 * control groups of the process. UINT64_MAX: unknown. */
uint64_t wsk__machine_memory(void);

/* Return the least limit of the control groups in `self` (the text of
 * /proc/self/cgroup) and of all above them, version 1 and 2, below `root`
 * (/sys/fs/cgroup). UINT64_MAX: no limit. */
uint64_t wsk__cgroup_memory(const char *self, const char *root);

/* The same for CPUs, as wsk_cpus() rounds them. */
uint64_t wsk__cgroup_cpus(const char *self, const char *root);

/* Fill with unpredictable octets. False with errno: the system has
 * none. */
bool wsk__random(uint8_t *to, size_t n);

#endif
