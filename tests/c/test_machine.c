#include "harness.h"

#include "net/os/machine.h"
#include "wsocket.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

/* A file below the root, with the folders above it. */
static void write_file(const char *name, const char *text)
{
    char path[256];
    size_t at = strlen(root);
    int fd;

    snprintf(path, sizeof(path), "%s/%s", root, name);
    for (char *p = path + at + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    EXPECT(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void begin(void)
{
    snprintf(root, sizeof(root), "/tmp/wsocket-cgroup-XXXXXX");
    EXPECT(mkdtemp(root) != NULL);
}

static void end(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", root);
    EXPECT(system(command) == 0);
}

TEST(the_machine_has_memory)
{
    EXPECT(wsk__machine_memory() >= 64u << 20);
}

TEST(of_nested_groups_of_version_2_the_least_counts)
{
    begin();
    write_file("a/memory.max", "max\n");
    write_file("a/b/memory.max", "3000000\n");
    write_file("a/b/c/memory.max", "5000000\n");
    EXPECT(wsk__cgroup_memory("0::/a/b/c\n", root) == 3000000);
    EXPECT(wsk__cgroup_memory("0::/a\n", root) == UINT64_MAX);
    write_file("a/b/c/memory.high", "2000000\n");
    EXPECT(wsk__cgroup_memory("0::/a/b/c\n", root) == 2000000);
    end();
}

TEST(in_a_container_the_root_is_the_group_itself)
{
    begin();
    write_file("memory.max", "4000000\n");
    EXPECT(wsk__cgroup_memory("0::/\n", root) == 4000000);
    EXPECT(wsk__cgroup_memory("0::/docker/0123/x\n", root) == 4000000);
    EXPECT(wsk__cgroup_memory("0::/../../y\n", root) == 4000000);
    end();
}

TEST(version_1_is_asked_where_memory_is)
{
    static const char self[] = "12:cpu,cpuacct:/x\n9:memory:/x/y\n"
                               "1:name=systemd:/x\n0::/x\n";

    begin();
    write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    write_file("memory/x/memory.limit_in_bytes", "7000000\n");
    write_file("memory/x/y/memory.limit_in_bytes", "8000000\n");
    write_file("cpu,cpuacct/x/memory.limit_in_bytes", "1\n");
    EXPECT(wsk__cgroup_memory(self, root) == 7000000);
    write_file("unified/x/memory.max", "6000000\n");
    EXPECT(wsk__cgroup_memory(self, root) == 6000000);
    end();
}

TEST(what_is_no_list_of_groups_is_no_limit)
{
    static char longest[9000];

    begin();
    write_file("memory.max", "nonsense\n");
    EXPECT(wsk__cgroup_memory("", root) == UINT64_MAX);
    EXPECT(wsk__cgroup_memory("\n\n::\n0\n0:\n0::\n:memory", root) ==
           UINT64_MAX);
    memset(longest, 'a', sizeof(longest) - 1);
    memcpy(longest, "0::/", 4);
    EXPECT(wsk__cgroup_memory(longest, root) == UINT64_MAX);
    end();
}

TEST(the_process_has_a_cpu)
{
    EXPECT(wsk_cpus() >= 1);
}

TEST(a_quota_pays_for_cpus_and_a_part_of_one_counts)
{
    begin();
    write_file("a/cpu.max", "max 100000\n");
    write_file("a/b/cpu.max", "250000 100000\n");
    EXPECT(wsk__cgroup_cpus("0::/a\n", root) == UINT64_MAX);
    EXPECT(wsk__cgroup_cpus("0::/a/b\n", root) == 3);
    write_file("a/b/c/cpu.max", "400000 100000\n");
    EXPECT(wsk__cgroup_cpus("0::/a/b/c\n", root) == 3);
    write_file("a/b/cpu.max", "1000 100000\n");
    EXPECT(wsk__cgroup_cpus("0::/a/b/c\n", root) == 1);
    end();
}

TEST(version_1_has_quota_and_period_in_two_files)
{
    static const char self[] = "4:cpu,cpuacct:/x/y\n9:memory:/z\n0::/\n";

    begin();
    write_file("cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    write_file("cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    EXPECT(wsk__cgroup_cpus(self, root) == UINT64_MAX);
    write_file("cpu,cpuacct/x/y/cpu.cfs_quota_us", "200000\n");
    EXPECT(wsk__cgroup_cpus(self, root) == UINT64_MAX); /* no period */
    write_file("cpu,cpuacct/x/y/cpu.cfs_period_us", "100000\n");
    EXPECT(wsk__cgroup_cpus(self, root) == 2);
    write_file("cpu/x/cpu.cfs_quota_us", "50000\n");
    write_file("cpu/x/cpu.cfs_period_us", "100000\n");
    EXPECT(wsk__cgroup_cpus(self, root) == 1);
    EXPECT(wsk__cgroup_cpus("5:cpuset:/x\n", root) == UINT64_MAX);
    end();
}

TEST(a_quota_that_makes_no_sense_is_none)
{
    static const char *const TEXTS[] = {
        "", "\n", "100000\n", "0 100000\n", "100000 0\n", "-5 3\n", "x y\n"};

    begin();
    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(*TEXTS); i++) {
        write_file("cpu.max", TEXTS[i]);
        EXPECT(wsk__cgroup_cpus("0::/\n", root) == UINT64_MAX);
    }
    end();
}
