/* SPDX-License-Identifier: MIT */
/*
 * test-machine.c - what a machine has left, and what is said to be missing of it
 *
 * In a folder that holds the files of a machine such as none has here: two nodes, both
 * sizes of huge pages, a control group with a limit.
 */
#include <check.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/machine.h"
#include "daemon/config/check.h"
#include "daemon/segments/space.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_1G "/sys/kernel/mm/hugepages/hugepages-1048576kB/"
#define NODE "/sys/devices/system/node/"
#define CGROUP "/sys/fs/cgroup/"

static char root[64];
static struct conf_segment segment;
static char folder[MEMPOOL_SHM_NAME_BYTES], text[SPACE_TEXT_BYTES];

static void put(const char *path, const char *content)
{
	char whole[256];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	for (char *c = strchr(whole + 1, '/'); c; c = strchr(c + 1, '/')) {
		*c = '\0';
		mkdir(whole, 0700);
		*c = '/';
	}
	file = fopen(whole, "we");
	ck_assert_ptr_nonnull(file);
	fputs(content, file);
	fclose(file);
}

static void setup(void)
{
	strcpy(root, "/tmp/mempool-machine-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	put("/proc/meminfo", "MemTotal:       16777216 kB\nMemFree:          100000 kB\n"
			     "MemAvailable:    1048576 kB\nSwapFree:         524288 kB\n");
	put("/proc/self/status", "VmLck:\t     512 kB\nCapEff:\t0000000000000000\n");
	put(HUGE "nr_hugepages", "110\n");
	put(HUGE "free_hugepages", "100\n");
	put(HUGE "resv_hugepages", "7\n");
	put(HUGE "surplus_hugepages", "1\n");
	put(HUGE "nr_overcommit_hugepages", "3\n");
	put(NODE "has_memory", "0-1,65\n");
	put(NODE "node0/meminfo", "Node 0 MemTotal:  900 kB\nNode 0 MemFree:  100 kB\n"
				  "Node 0 Active(file):  10 kB\nNode 0 Inactive(file):  1 kB\n"
				  "Node 0 SReclaimable:  1000 kB\n");
	put(NODE "node1/meminfo", "Node 1 MemFree:  50 kB\n");
	put(NODE "node0/hugepages/hugepages-2048kB/free_hugepages", "60\n");
	put(NODE "node1/hugepages/hugepages-2048kB/free_hugepages", "40\n");

	/* Half a MiB, and with its tables less than 1. */
	segment = (struct conf_segment){ .open_mode = SEGMENT_CREATE };
	ck_assert_int_eq(config_init(&segment.shape, "test"), 0);
	ck_assert_int_eq(config_add_pool(&segment.shape, MIB / 2, 1), 0);
	ck_assert_uint_lt(conf_segment_bytes(&segment), MIB);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void teardown(void)
{
	nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- what is there ---- */

START_TEST(test_memory_with_swap_and_without)
{
	ck_assert_uint_eq(machine_memory(root, false), GIB);
	ck_assert_uint_eq(machine_memory(root, true), GIB + GIB / 2);
	ck_assert_uint_eq(machine_memory("/nonexistent", true), UINT64_MAX);
}
END_TEST

START_TEST(test_group_the_tightest_of_those_above)
{
	put("/proc/self/cgroup", "4:memory:/other\n0::/a.slice/b.service\n");
	ck_assert_uint_eq(machine_group_memory(root, false), UINT64_MAX);
	put(CGROUP "a.slice/b.service/memory.max", "max\n");
	put(CGROUP "a.slice/memory.max", "10000\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 10000);
	put(CGROUP "a.slice/memory.current", "9000\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 1000);
	/* What can be given up is as good as free; the rest of it is not. */
	put(CGROUP "a.slice/memory.stat", "anon 5000\ninactive_file 300\nactive_file 200\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 1500);
	put(CGROUP "a.slice/b.service/memory.max", "700\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 700);
	put(CGROUP "a.slice/memory.current", "20000\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 0);
	/* In a container. */
	put("/proc/self/cgroup", "0::/\n");
	ck_assert_uint_eq(machine_group_memory(root, false), UINT64_MAX);
	put(CGROUP "memory.max", "123\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 123);
}
END_TEST

/* Of version 1, which has a folder, names and keys of its own. */
START_TEST(test_group_of_version_1)
{
	put("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:hugetlb,memory:/a/b\n1:name=systemd:/y\n0::/z\n");
	ck_assert_uint_eq(machine_group_memory(root, false), UINT64_MAX);
	put(CGROUP "memory/a/b/memory.limit_in_bytes", "9223372036854771712\n");
	ck_assert_uint_eq(machine_group_memory(root, false), UINT64_MAX);
	put(CGROUP "memory/a/memory.limit_in_bytes", "10000\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 10000);
	put(CGROUP "memory/a/memory.usage_in_bytes", "9000\n");
	put(CGROUP "memory/a/memory.stat", "inactive_file 7\ntotal_inactive_file 300\n"
					   "total_active_file 200\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 1500);
	ck_assert_uint_eq(machine_group_memory(root, true), 10000);
	put(CGROUP "memory/a/b/memory.limit_in_bytes", "700\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 700);
	/* A group that does not count those below it limits itself alone. */
	put(CGROUP "memory/a/memory.limit_in_bytes", "5\n");
	ck_assert_uint_eq(machine_group_memory(root, true), 5);
	put(CGROUP "memory/a/memory.use_hierarchy", "0\n");
	ck_assert_uint_eq(machine_group_memory(root, true), 700);
	/* In a container that sees the path of the host. */
	put("/proc/self/cgroup", "4:memory:/docker/1234\n");
	put(CGROUP "memory/memory.limit_in_bytes", "123\n");
	ck_assert_uint_eq(machine_group_memory(root, false), 123);
}
END_TEST

START_TEST(test_nodes_and_what_they_have)
{
	uint64_t nodes[PAGES_MAX_NODES / 64], first[PAGES_MAX_NODES / 64] = { 1 };
	char list[MACHINE_LIST_BYTES];

	machine_nodes(root, list, nodes);
	ck_assert_str_eq(list, "0-1,65");
	ck_assert_uint_eq(nodes[0], 3);
	ck_assert_uint_eq(nodes[1], 2);
	nodes[1] = 0;
	ck_assert_uint_eq(machine_node_memory(root, first), 1111 << 10);
	ck_assert_uint_eq(machine_node_memory(root, nodes), 1161 << 10);
	ck_assert_uint_eq(machine_node_huge_pages(root, 2 * MIB, first), 60);
	ck_assert_uint_eq(machine_node_huge_pages(root, 2 * MIB, nodes), 100);
	machine_nodes("/nonexistent", list, nodes);
	ck_assert_str_eq(list, "0");
	ck_assert_uint_eq(nodes[0], 1);
}
END_TEST

START_TEST(test_huge_pages_promised_ones_are_not_free)
{
	struct machine_huge huge;

	ck_assert_int_eq(machine_huge_pages(root, 2 * MIB, &huge), 0);
	ck_assert_uint_eq(huge.n_total, 110);
	ck_assert_uint_eq(huge.n_free, 100 - 7 + 2);
	ck_assert_int_eq(machine_huge_pages(root, GIB, &huge), -ENOENT);
}
END_TEST

START_TEST(test_lockable_is_what_the_limit_leaves)
{
	const struct rlimit limit = { .rlim_cur = MIB, .rlim_max = MIB };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	ck_assert_uint_eq(machine_lockable(root), MIB / 2);
	put("/proc/self/status", "VmLck:\t    9999 kB\nCapEff:\t0000000000000000\n");
	ck_assert_uint_eq(machine_lockable(root), 0);
	/* CAP_IPC_LOCK, and all others but that. */
	put("/proc/self/status", "VmLck:\t       0 kB\nCapEff:\t0000000000004000\n");
	ck_assert_uint_eq(machine_lockable(root), UINT64_MAX);
	put("/proc/self/status", "VmLck:\t       0 kB\nCapEff:\t000001ffffffbfff\n");
	ck_assert_uint_eq(machine_lockable(root), MIB);
}
END_TEST

/* ---- what is missing ---- */

static void assert_space(int error, const char *expected)
{
	ck_assert_int_eq(space_find(&segment, root, folder, text), error);
	ck_assert_str_eq(text, expected);
}

static void set_chunks(uint64_t size, uint64_t n)
{
	segment.shape.n_pools = 0;
	ck_assert_int_eq(config_add_pool(&segment.shape, size, n), 0);
}

START_TEST(test_space_enough)
{
	assert_space(0, "");
	ck_assert_str_eq(folder, "");
}
END_TEST

START_TEST(test_space_memory_is_short)
{
	set_chunks(1536 * MIB - 4 * MIB, 1);
	assert_space(0, "");
	set_chunks(1536 * MIB, 1);
	assert_space(-ENOMEM, "not enough memory: it needs 1.5 GiB, 1.5 GiB are available: "
			      "108.0 KiB missing");
	/* What is locked cannot be swapped. */
	set_chunks(1024 * MIB, 2);
	assert_space(-ENOMEM, "not enough memory: it needs 2.0 GiB, 1.5 GiB are available: "
			      "512.1 MiB missing");
	segment.pages.lock = true;
	put("/proc/self/status", "CapEff:\t0000000000004000\n");
	assert_space(-ENOMEM, "not enough memory: it needs 2.0 GiB, 1.0 GiB are available: "
			      "1.0 GiB missing");
}
END_TEST

START_TEST(test_space_group_is_short)
{
	put("/proc/self/cgroup", "0::/x\n");
	put(CGROUP "x/memory.max", "262144\n");
	ck_assert_int_eq(space_find(&segment, root, folder, text), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(text, "the limit of our control group leaves 256.0 KiB: "));
	ck_assert_ptr_nonnull(strstr(text, " missing (MemoryMax= in its unit)"));
}
END_TEST

START_TEST(test_space_file_is_too_large)
{
	const struct rlimit limit = { .rlim_cur = 256 << 10, .rlim_max = 256 << 10 };

	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	ck_assert_int_eq(space_find(&segment, root, folder, text), -EFBIG);
	ck_assert_ptr_nonnull(strstr(text, "no file may be as large: it needs "));
	ck_assert_ptr_nonnull(strstr(text, "RLIMIT_FSIZE allows 256.0 KiB: "));
	/* Also of huge pages. */
	segment.pages.huge_bytes = segment.shape.data_align = 2 * MIB;
	ck_assert_int_eq(space_find(&segment, root, folder, text), -EFBIG);
}
END_TEST

/* What a check of this config warns of. */
static void check_config(const char *config, char *ret_warning, size_t size)
{
	char path[128];
	int fds[2], out, err;
	ssize_t n;

	put("/config.yaml", config);
	snprintf(path, sizeof(path), "%s/config.yaml", root);
	ck_assert_int_eq(pipe(fds), 0);
	out = dup(STDOUT_FILENO);
	err = dup(STDERR_FILENO);
	fflush(stdout);
	dup2(fds[1], STDOUT_FILENO);
	dup2(fds[1], STDERR_FILENO);
	ck_assert_int_eq(conf_check(path, root), 0);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(fds[1]);
	n = read(fds[0], ret_warning, size - 1);
	ck_assert_int_ge(n, 0);
	ret_warning[n] = '\0';
	close(fds[0]);
}

/* Two segments of 1 MiB and more: what is in the group already does not count. */
START_TEST(test_check_of_config_warns_of_limits)
{
	static const char *const config =
		"limits: { clients: 10, clients_per_user: 10 }\n"
		"segments:\n"
		"  - { name: a, pools: [ { chunk_size: 1MiB, chunk_count: 1 } ] }\n"
		"  - { name: b, pools: [ { chunk_size: 1MiB, chunk_count: 1 } ] }\n";
	const struct rlimit limit = { .rlim_cur = 600 << 10, .rlim_max = 600 << 10 };
	/* The soft one is raised. */
	struct rlimit descriptors = { .rlim_cur = 100, .rlim_max = 160 };
	char said[4096];

	put("/proc/self/cgroup", "0::/x\n");
	put(CGROUP "x/memory.max", "10485760\n");
	put(CGROUP "x/memory.current", "10485760\n");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
	check_config(config, said, sizeof(said));
	ck_assert_ptr_null(strstr(said, "warning: "));
	put(CGROUP "x/memory.max", "2097152\n");
	descriptors.rlim_max = 159;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &descriptors), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	check_config(config, said, sizeof(said));
	ck_assert_msg(strstr(said, "limit of the control group here is 2.0 MiB") != NULL, "%s", said);
	ck_assert_msg(strstr(said, "segment 'a' has an object of ") != NULL, "%s", said);
	ck_assert_msg(strstr(said, "segment 'b' has an object of ") != NULL, "%s", said);
	ck_assert_msg(strstr(said, "RLIMIT_FSIZE here is 600.0 KiB") != NULL, "%s", said);
	ck_assert_msg(strstr(said, "leave 160 descriptors unread, RLIMIT_NOFILE here is 159") != NULL,
		      "%s", said);
}
END_TEST

START_TEST(test_machine_nobody_is_whom_the_kernel_says)
{
	struct machine_nobody nobody;

	machine_read_nobody(root, &nobody);
	ck_assert_uint_eq(nobody.uid, 65534);
	ck_assert_uint_eq(nobody.gid, 65534);
	put("/proc/sys/kernel/overflowuid", "65535\n");
	put("/proc/sys/kernel/overflowgid", "4294967294\n");
	machine_read_nobody(root, &nobody);
	ck_assert_uint_eq(nobody.uid, 65535);
	ck_assert_uint_eq(nobody.gid, 4294967294);
}
END_TEST

START_TEST(test_space_lock_is_short)
{
	const struct rlimit limit = { .rlim_cur = 768 << 10, .rlim_max = 768 << 10 };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	assert_space(0, "");
	segment.pages.lock = true;
	ck_assert_int_eq(space_find(&segment, root, folder, text), -EPERM);
	ck_assert_int_eq(space_check_lock(&segment, root, text), -EPERM);
	ck_assert_ptr_nonnull(strstr(text, "cannot lock it: it needs "));
	ck_assert_ptr_nonnull(strstr(text, "RLIMIT_MEMLOCK leaves 256.0 KiB: "));
	/* Of huge pages none is ever swapped out. */
	segment.pages.huge_bytes = segment.shape.data_align = 2 * MIB;
	ck_assert_int_eq(space_check_lock(&segment, root, text), 0);
}
END_TEST

START_TEST(test_space_huge_pages_are_short)
{
	segment.pages.huge_bytes = segment.shape.data_align = 2 * MIB;
	set_chunks(2 * MIB, 512);
	assert_space(-ENOMEM, "it needs 512 huge pages of 2.0 MiB, 95 are free: 417 missing (write "
			      "527 to /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages)");
	segment.pages.policy = PAGES_BIND;
	segment.pages.nodes[0] = 2;
	assert_space(-ENOMEM, "it needs 512 huge pages of 2.0 MiB, 40 are free on its nodes: 472 "
			      "missing (write 582 to "
			      "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages)");
	segment.pages.huge_bytes = GIB;
	assert_space(-EINVAL, "this machine has no huge pages of 1.0 GiB");
}
END_TEST

START_TEST(test_space_node_is_not_there)
{
	segment.pages.policy = PAGES_INTERLEAVE;
	segment.pages.nodes[0] = 5;
	assert_space(-EINVAL, "there is no node 2 with memory, as numa has it: those of this "
			      "machine are 0-1,65");
}
END_TEST

START_TEST(test_space_node_is_short)
{
	segment.pages.policy = PAGES_BIND;
	segment.pages.nodes[0] = 1;
	assert_space(0, "");
	segment.pages.nodes[0] = 2;
	ck_assert_int_eq(space_find(&segment, root, folder, text), -ENOMEM);
	ck_assert_ptr_nonnull(strstr(text, "its nodes have 50.0 KiB: "));
	/* Interleaved, another node serves when one is full. */
	segment.pages.policy = PAGES_INTERLEAVE;
	assert_space(0, "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("machine");
	TCase *tcase = tcase_create("machine");
	SRunner *runner;
	int n_failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_memory_with_swap_and_without);
	tcase_add_test(tcase, test_group_the_tightest_of_those_above);
	tcase_add_test(tcase, test_group_of_version_1);
	tcase_add_test(tcase, test_nodes_and_what_they_have);
	tcase_add_test(tcase, test_huge_pages_promised_ones_are_not_free);
	tcase_add_test(tcase, test_lockable_is_what_the_limit_leaves);
	tcase_add_test(tcase, test_space_enough);
	tcase_add_test(tcase, test_space_memory_is_short);
	tcase_add_test(tcase, test_space_group_is_short);
	tcase_add_test(tcase, test_space_file_is_too_large);
	tcase_add_test(tcase, test_check_of_config_warns_of_limits);
	tcase_add_test(tcase, test_space_lock_is_short);
	tcase_add_test(tcase, test_space_huge_pages_are_short);
	tcase_add_test(tcase, test_space_node_is_not_there);
	tcase_add_test(tcase, test_space_node_is_short);
	tcase_add_test(tcase, test_machine_nobody_is_whom_the_kernel_says);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
