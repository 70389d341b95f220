/* SPDX-License-Identifier: MIT */
/*
 * test-pages.c - segments whose pages are prefaulted, locked, placed or huge
 *
 * What the machine does not have is skipped, with the reason. Huge pages are set aside for
 * these tests and given back; a hugetlbfs is mounted where only the test sees it.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/capability.h>
#include <poll.h>
#include <pty.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"
#include "build_config.h"
#include "support/control.h"

#define MIB (UINT64_C(1) << 20)
#define SYS_HUGE "/sys/kernel/mm/hugepages/hugepages-"
#define POOL_OF_8_MIB "    pools: [ { chunk_size: 1MiB, chunk_count: 8 } ]\n"
#define N_HUGE 24			/* of 2 MiB: two segments, and some */

static struct fixture fixture;

static void setup(void)
{
	fixture_init(&fixture);
}

static void teardown(void)
{
	fixture_deinit(&fixture);
}

static bool skip(const char *why)
{
	printf("skipped: %s\n", why);
	return true;
}

/* The number behind a key in a file; 0: none. */
static uint64_t number_in(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char line[256];
	uint64_t number = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			number = strtoull(line + strlen(key), NULL, 10);
	if (file)
		fclose(file);
	return number;
}

static uint64_t daemon_kib(const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)fixture.pid);
	return number_in(path, key);
}

/* ---- prefault ---- */

START_TEST(test_prefault_brings_all_of_it_in)
{
	fixture_configure(&fixture, "", POOL_OF_8_MIB);
	fixture_start(&fixture);
	ck_assert_uint_lt(daemon_kib("RssShmem:"), 2 << 10);
	fixture_stop(&fixture);
	/* Also of one that is there already. */
	fixture_configure(&fixture, "", "    prefault: true\n" POOL_OF_8_MIB);
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "adopted"));
	ck_assert_uint_ge(daemon_kib("RssShmem:"), 8 << 10);
	fixture_stop(&fixture);
}
END_TEST

/* What a terminal shows until the daemon says that it is ready. */
static void read_terminal(int fd, char *text, size_t size)
{
	size_t n = 0;
	ssize_t got;

	do {
		text[n] = '\0';
		ck_assert_msg(patience_poll(fd, 30000), "nothing more than: %s", text);
		got = read(fd, text + n, size - 1 - n);
		ck_assert_msg(got > 0, "ended with: %s", text);
		n += (size_t)got;
		text[n] = '\0';
	} while (!strstr(text, " is ready"));
}

/* On one processor, so that it takes more than a blink on any machine. */
static void slowly(void *userdata)
{
	cpu_set_t set;
	int cpu = 0;

	(void)userdata;
	sched_getaffinity(0, sizeof(set), &set);
	while (!CPU_ISSET(cpu, &set))
		cpu++;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void on_terminal(void *userdata)
{
	dup2(*(const int *)userdata, STDERR_FILENO);
	slowly(NULL);
}

static bool large_is_too_large(uint64_t bytes)
{
	if (number_in("/proc/meminfo", "MemAvailable:") << 10 < 2 * bytes)
		return skip("needs twice the memory of a large segment");
	return false;
}

START_TEST(test_progress_is_a_bar_at_a_terminal)
{
	struct winsize size = { .ws_col = 100, .ws_row = 24 };
	char text[65536], *last;
	int terminal, end;

	if (large_is_too_large(2048 * MIB))
		return;
	ck_assert_int_eq(openpty(&terminal, &end, NULL, NULL, &size), 0);
	fixture.in_child = on_terminal;
	fixture.userdata = &end;
	fixture_configure(&fixture, "", "    prefault: true\n"
			  "    pools: [ { chunk_size: 1MiB, chunk_count: 2048 } ]\n");
	fixture_spawn(&fixture);
	read_terminal(terminal, text, sizeof(text));
	ck_assert_msg(strstr(text, "\rmempoold: segment 'test-") != NULL, "%s", text);
	ck_assert_msg(strstr(text, "[#") != NULL, "%s", text);
	ck_assert_msg(strstr(text, " of 2.0 GiB, ") != NULL, "%s", text);
	/* The last one is wiped out before the next line, and no line has a rest of it. */
	last = strrchr(text, '[');
	ck_assert_ptr_nonnull(last);
	ck_assert_msg(strncmp(last, "[K", 2) == 0, "%s", last);
	ck_assert_msg(strstr(text, "\r\033[Kmempoold: segment 'test-") != NULL, "%s", text);
	ck_assert_uint_ge(daemon_kib("RssShmem:"), 2048 << 10);
	fixture_stop(&fixture);
	close(terminal);
	close(end);
	ck_assert(!fixture_log_has(&fixture, "\r"));
}
END_TEST

static void to_service_manager(void *userdata)
{
	setenv("NOTIFY_SOCKET", userdata, 1);
	slowly(NULL);
}

/* Until it is ready. Return: how often it said how far it is, and asked for time. */
static unsigned int read_notifications(int fd)
{
	unsigned int n = 0;
	char got[512] = "";
	ssize_t size;

	while (!strstr(got, "READY=1")) {
		ck_assert(patience_poll(fd, 30000));
		size = recv(fd, got, sizeof(got) - 1, 0);
		ck_assert_int_gt(size, 0);
		got[size] = '\0';
		/* Nobody watches it. */
		ck_assert_msg(!strstr(got, "WATCHDOG"), "%s", got);
		n += strstr(got, "EXTEND_TIMEOUT_USEC=30000000\n"
				 "STATUS=taking memory for segment") != NULL;
	}
	return n;
}

START_TEST(test_progress_is_no_bar_elsewhere_but_a_status)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (large_is_too_large(2048 * MIB))
		return;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", fixture.folder);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	fixture.in_child = to_service_manager;
	fixture.userdata = address.sun_path;
	fixture_configure(&fixture, "", "    prefault: true\n"
			  "    pools: [ { chunk_size: 1MiB, chunk_count: 2048 } ]\n");
	fixture_spawn(&fixture);
	/* After each 64 MiB; those may be missing for which the socket had no room: it has some for
	 * ten (net.unix.max_dgram_qlen). */
	ck_assert_uint_ge(read_notifications(fd), 10);
	fixture_stop(&fixture);
	ck_assert(!fixture_log_has(&fixture, "\r"));
	ck_assert(!fixture_log_has(&fixture, "["));
	unlink(address.sun_path);
	close(fd);
}
END_TEST

/* ---- lock ---- */

static bool has_ipc_lock(void)
{
	return prctl(PR_CAPBSET_READ, CAP_IPC_LOCK) == 1 && geteuid() == 0;
}

/* 64 KiB, for root as well. */
static void little_memlock(void *userdata)
{
	const struct rlimit limit = { .rlim_cur = 64 << 10, .rlim_max = 64 << 10 };

	(void)userdata;
	setrlimit(RLIMIT_MEMLOCK, &limit);
	prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK);
}

START_TEST(test_lock_keeps_all_of_it_in_memory)
{
	struct victim victim;

	if (MEMPOOL_SANITIZED && skip("sanitizers do not let memory be locked"))
		return;
	if (!has_ipc_lock() && skip("needs root: RLIMIT_MEMLOCK may be too small"))
		return;
	fixture_configure(&fixture, "", "    lock: true\n" POOL_OF_8_MIB);
	fixture_start(&fixture);
	ck_assert_uint_ge(daemon_kib("VmLck:"), 8 << 10);
	ck_assert_uint_ge(daemon_kib("RssShmem:"), 8 << 10);
	/* As long as a daemon runs, and the next one locks it again under who lives there. */
	victim_start(&victim, &fixture, 3);
	fixture_kill(&fixture);
	fixture_start(&fixture);
	ck_assert_uint_ge(daemon_kib("VmLck:"), 8 << 10);
	victim_kill(&victim);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_lock_beyond_the_limit_fails_and_leaves_nothing)
{
	fixture.in_child = little_memlock;
	fixture_configure(&fixture, "", "    lock: true\n" POOL_OF_8_MIB);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	/* The chunks, and what describes them. */
	ck_assert(fixture_log_has(&fixture, "cannot lock it: it needs 8."));
	ck_assert(fixture_log_has(&fixture, " MiB, RLIMIT_MEMLOCK leaves 64.0 KiB: 8."));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}
END_TEST

START_TEST(test_lock_beyond_the_limit_of_one_that_lives_warns)
{
	struct victim victim;

	fixture_configure(&fixture, "", POOL_OF_8_MIB);
	fixture_start(&fixture);
	victim_start(&victim, &fixture, 3);
	fixture_kill(&fixture);
	fixture.in_child = little_memlock;
	fixture_configure(&fixture, "", "    lock: true\n" POOL_OF_8_MIB);
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, " MiB missing (LimitMEMLOCK= in its unit); it goes "
					    "on without"));
	ck_assert(fixture_log_has(&fixture, "adopted"));
	ck_assert_uint_eq(daemon_kib("VmLck:"), 0);
	victim_kill(&victim);
	fixture_stop(&fixture);
}
END_TEST

/* ---- nodes ---- */

START_TEST(test_numa_on_the_first_node)
{
	if (access("/sys/devices/system/node/node0", F_OK) < 0 && skip("no NUMA here"))
		return;
	fixture_configure(&fixture, "", "    numa: { policy: bind, nodes: [ 0 ] }\n"
					POOL_OF_8_MIB);
	fixture_start(&fixture);
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", "    numa: { policy: interleave, nodes: [ 0 ] }\n"
					"    open_mode: purge_and_create\n" POOL_OF_8_MIB);
	fixture_start(&fixture);
	/* Not layout: the other policy alone makes nothing anew. */
	ck_assert(fixture_object_exists(&fixture, 2));
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", POOL_OF_8_MIB);
	fixture_start(&fixture);
	ck_assert(fixture_object_exists(&fixture, 2));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_numa_on_a_node_that_is_not_there)
{
	fixture_configure(&fixture, "", "    numa: { policy: bind, nodes: [ 0, 1023 ] }\n"
					POOL_OF_8_MIB);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "there is no node 1023 with memory, as numa has it: "
					    "those of this machine are 0"));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}
END_TEST

/* ---- a start that fails ---- */

/* With a socket that it cannot listen on. */
static int run_deaf_daemon(void)
{
	char path[128];
	const char *const arguments[] = { MEMPOOLD, "-c", fixture.config_path, "-s", path, NULL };

	snprintf(path, sizeof(path), "%s/no/such/folder", fixture.folder);
	return fixture_run(&fixture, arguments);
}

START_TEST(test_start_that_fails_later_leaves_nothing)
{
	char top[96];

	snprintf(top, sizeof(top), "state_dir: %s\n", fixture.folder);
	fixture_configure(&fixture, top, POOL_OF_8_MIB);
	ck_assert_int_eq(run_deaf_daemon(), 1);
	ck_assert(fixture_log_has(&fixture, "created"));
	ck_assert(fixture_log_has(&fixture, "the start failed"));
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
	/* But what was there before stays. */
	fixture_start(&fixture);
	fixture_stop(&fixture);
	ck_assert_int_eq(run_deaf_daemon(), 1);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
}
END_TEST

/* ---- huge pages ---- */

static char huge_folder[96];

static uint64_t huge_number(unsigned int kib, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), SYS_HUGE "%ukB/%s", kib, name);
	return number_in(path, "");
}

static void set_huge(unsigned int kib, uint64_t n)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), SYS_HUGE "%ukB/nr_hugepages", kib);
	file = fopen(path, "we");
	if (!file)
		return;
	fprintf(file, "%llu", (unsigned long long)n);
	fclose(file);
}

/* What there was before, per size; the lock is ours while we have more. */
static uint64_t n_before[2];
static int huge_lock = -1;
static const unsigned int huge_kib[2] = { 2 << 10, 1 << 20 };

static void take_huge_pages(void)
{
	static const uint64_t n_more[2] = { N_HUGE, 1 };

	huge_lock = open("/proc/sys/vm/nr_hugepages", O_RDONLY | O_CLOEXEC);
	if (huge_lock >= 0)
		flock(huge_lock, LOCK_EX);
	for (int i = 0; i < 2; i++) {
		n_before[i] = huge_number(huge_kib[i], "nr_hugepages");
		set_huge(huge_kib[i], n_before[i] + n_more[i]);
	}
}

static void give_huge_pages_back(void)
{
	for (int i = 0; i < 2; i++)
		set_huge(huge_kib[i], n_before[i]);
	close(huge_lock);
}

/* A hugetlbfs that this test, and who it starts, sees. */
static bool huge_is_missing(unsigned int kib, uint64_t n)
{
	char options[64];

	if (huge_number(kib, "free_hugepages") < n)
		return skip("there are no huge pages, or none to be had");
	if (fixture_own_mounts(0) < 0)
		return skip("needs root: a mount namespace");
	snprintf(huge_folder, sizeof(huge_folder), "%s/huge", fixture.folder);
	ck_assert_int_eq(mkdir(huge_folder, 0755), 0);
	snprintf(options, sizeof(options), "pagesize=%uK,mode=0755", kib);
	if (mount("hugetlbfs", huge_folder, "hugetlbfs", 0, options) < 0)
		return skip("cannot mount a hugetlbfs");
	return false;
}

static void huge_teardown(void)
{
	if (fixture.pid)
		fixture_kill(&fixture);
	while (umount2(huge_folder, MNT_DETACH) == 0)
		;
	rmdir(huge_folder);
	fixture_deinit(&fixture);
}

static unsigned int count_huge_objects(void)
{
	char pattern[192];
	unsigned int n;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/mempool-%s.*", huge_folder, fixture.segment);
	n = glob(pattern, 0, NULL, &found) == 0 ? (unsigned int)found.gl_pathc : 0;
	globfree(&found);
	return n;
}

START_TEST(test_huge_segment_works_like_any_other)
{
	uint64_t free = huge_number(2048, "free_hugepages");
	struct mempool_msg_welcome welcome;
	struct mempool_client *client;
	struct segment *segment;
	struct victim victim;
	struct status status;
	char command[256];
	void *chunk;

	if (huge_is_missing(2048, N_HUGE))
		return;
	fixture_configure(&fixture, "", "    huge_pages: 2MiB\n" POOL_OF_8_MIB);
	fixture_start(&fixture);
	/* The data; and control, in /dev/shm. */
	ck_assert_uint_eq(count_huge_objects(), 1);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	/* All of it is taken, though not one page was touched yet. */
	ck_assert_uint_eq(huge_number(2048, "free_hugepages"), free - 4);
	ck_assert_uint_eq(huge_number(2048, "resv_hugepages"), 0);

	victim_start(&victim, &fixture, 3);
	client = open_client(&fixture);
	chunk = mempool_alloc(client, MIB);
	ck_assert_ptr_nonnull(chunk);
	memset(chunk, 1, MIB);
	ck_assert_uint_eq(victim.welcome.place.data_bytes, 8 * MIB);
	segment = wire_map_from(&victim.welcome, huge_folder);
	status_read(&fixture, &status);
	ck_assert_str_eq(status.shm_name, victim.welcome.place.shm_name);
	ck_assert_uint_eq(status.pools[0].used, 4);
	snprintf(command, sizeof(command), MEMPOOLCTL " status --shm %s >/dev/null",
		 status.shm_name);
	ck_assert_int_eq(system(command), 0);

	/* Taken up again, though it is seen in two places; and none of it was lost. */
	snprintf(command, sizeof(command), "%s/twice", fixture.folder);
	ck_assert_int_eq(mkdir(command, 0755), 0);
	ck_assert_int_eq(mount(huge_folder, command, NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(mount(huge_folder, huge_folder, NULL, MS_BIND, NULL), 0);
	fixture_kill(&fixture);
	fixture_start(&fixture);
	ck_assert(fixture_log_has(&fixture, "adopted"));
	ck_assert_uint_eq(count_huge_objects(), 1);
	ck_assert(!mempool_client_is_stale(client));
	wire_bye(wire_attach(&fixture, 7, &welcome));
	ck_assert_uint_eq(welcome.place.segment_id, victim.welcome.place.segment_id);
	ck_assert_uint_eq(pool_count_used(&segment->pools[0]), 4);
	victim_kill(&victim);
	wait_until(fixture_no_longer_used, &(struct fixture_used){ segment, 1 }, 5000);

	/* Not removed under its last client; and then it is. */
	fixture_stop(&fixture);
	ck_assert_int_ne(fixture_run_remove(&fixture), 0);
	ck_assert_uint_eq(count_huge_objects(), 1);
	ck_assert_int_eq(((unsigned char *)chunk)[MIB - 1], 1);
	fixture_start(&fixture);
	ck_assert_int_eq(mempool_client_close(client), 1);
	fixture_stop(&fixture);
	fixture_start(&fixture);
	ck_assert_uint_eq(count_huge_objects(), 1);
	fixture_stop(&fixture);
	ck_assert_int_eq(fixture_run_remove(&fixture), 0);
	ck_assert_uint_eq(count_huge_objects(), 0);
	snprintf(command, sizeof(command), "%s/twice", fixture.folder);
	umount2(command, MNT_DETACH);
	rmdir(command);
	segment_free(segment);
	ck_assert_uint_eq(huge_number(2048, "free_hugepages"), free);
}
END_TEST

START_TEST(test_huge_pages_too_few_nothing_left)
{
	uint64_t free;

	if (huge_is_missing(2048, N_HUGE))
		return;
	free = huge_number(2048, "free_hugepages");
	fixture_configure(&fixture, "", "    huge_pages: 2MiB\n"
			  "    pools: [ { chunk_size: 1MiB, chunk_count: 1023 } ]\n");
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "it needs 512 huge pages of 2.0 MiB, "));
	ck_assert(fixture_log_has(&fixture, " missing (write "));
	ck_assert_uint_eq(huge_number(2048, "free_hugepages"), free);
	ck_assert_uint_eq(count_huge_objects(), 0);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 0);
}
END_TEST

START_TEST(test_huge_pages_without_a_mount)
{
	if (huge_is_missing(2048, N_HUGE))
		return;
	umount2(huge_folder, MNT_DETACH);
	while (umount2("/dev/hugepages", MNT_DETACH) == 0)
		;
	fixture_configure(&fixture, "", "    huge_pages: 2MiB\n" POOL_OF_8_MIB);
	ck_assert_int_eq(fixture_run_daemon(&fixture), 1);
	ck_assert(fixture_log_has(&fixture, "no hugetlbfs of that size is mounted"));
}
END_TEST

START_TEST(test_huge_segment_truncated_is_made_anew)
{
	struct mempool_msg_welcome welcome, next;
	struct segment *segment;

	if (huge_is_missing(2048, N_HUGE))
		return;
	fixture_configure(&fixture, "", "    huge_pages: 2MiB\n    prefault: true\n"
					POOL_OF_8_MIB);
	fixture_start(&fixture);
	close(wire_attach(&fixture, 1, &welcome));
	segment = wire_map_from(&welcome, huge_folder);
	ck_assert_int_eq(ftruncate(segment->memory.data_fd, 2 * MIB), 0);
	segment_free(segment);
	wire_bye(wire_attach(&fixture, 2, &next));
	ck_assert_uint_ne(next.place.segment_id, welcome.place.segment_id);
	ck_assert_uint_eq(next.place.data_bytes, 8 * MIB);
	fixture_stop(&fixture);
}
END_TEST

static bool has_one_object(void *userdata)
{
	(void)userdata;
	return fixture_count_objects(&fixture) == 1;
}

/* Chunks begin elsewhere, so that is another layout: beside the old one while that has a client. */
START_TEST(test_huge_pages_wanted_later_are_another_layout)
{
	struct victim victim;

	if (huge_is_missing(2048, N_HUGE))
		return;
	fixture_configure(&fixture, "", POOL_OF_8_MIB);
	fixture_start(&fixture);
	victim_start(&victim, &fixture, 3);
	fixture_stop(&fixture);
	fixture_configure(&fixture, "", "    huge_pages: 2MiB\n" POOL_OF_8_MIB);
	fixture_start(&fixture);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 2);
	ck_assert_uint_eq(count_huge_objects(), 1);
	victim_kill(&victim);
	wait_until(has_one_object, NULL, 5000);
	ck_assert_uint_eq(count_huge_objects(), 1);
	fixture_stop(&fixture);
	/* And back: found on the hugetlbfs, which nobody asks for any more. */
	fixture_configure(&fixture, "", POOL_OF_8_MIB);
	fixture_start(&fixture);
	ck_assert_uint_eq(fixture_count_objects(&fixture), 1);
	ck_assert_uint_eq(count_huge_objects(), 0);
	fixture_stop(&fixture);
}
END_TEST

START_TEST(test_huge_pages_of_1_gib)
{
	struct mempool_msg_welcome welcome;
	uint64_t n_free;

	if (huge_is_missing(1 << 20, 1))
		return;
	n_free = huge_number(1 << 20, "free_hugepages");
	fixture_configure(&fixture, "", "    huge_pages: 1GiB\n    prefault: true\n"
					POOL_OF_8_MIB);
	fixture_start(&fixture);
	wire_bye(wire_attach(&fixture, 1, &welcome));
	ck_assert_uint_eq(welcome.place.data_bytes, 1024 * MIB);
	ck_assert_uint_eq(huge_number(1 << 20, "free_hugepages"), n_free - 1);
	fixture_stop(&fixture);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pages");
	TCase *plain = tcase_create("plain"), *huge = tcase_create("huge");
	SRunner *runner;
	int n_failed;

	tcase_set_timeout(plain, 120);
	tcase_add_checked_fixture(plain, setup, teardown);
	tcase_add_test(plain, test_prefault_brings_all_of_it_in);
	tcase_add_test(plain, test_progress_is_a_bar_at_a_terminal);
	tcase_add_test(plain, test_progress_is_no_bar_elsewhere_but_a_status);
	tcase_add_test(plain, test_lock_keeps_all_of_it_in_memory);
	tcase_add_test(plain, test_lock_beyond_the_limit_fails_and_leaves_nothing);
	tcase_add_test(plain, test_lock_beyond_the_limit_of_one_that_lives_warns);
	tcase_add_test(plain, test_numa_on_the_first_node);
	tcase_add_test(plain, test_numa_on_a_node_that_is_not_there);
	tcase_add_test(plain, test_start_that_fails_later_leaves_nothing);
	suite_add_tcase(suite, plain);

	tcase_set_timeout(huge, 120);
	tcase_add_unchecked_fixture(huge, take_huge_pages, give_huge_pages_back);
	tcase_add_checked_fixture(huge, setup, huge_teardown);
	tcase_add_test(huge, test_huge_segment_works_like_any_other);
	tcase_add_test(huge, test_huge_pages_too_few_nothing_left);
	tcase_add_test(huge, test_huge_pages_without_a_mount);
	tcase_add_test(huge, test_huge_segment_truncated_is_made_anew);
	tcase_add_test(huge, test_huge_pages_wanted_later_are_another_layout);
	tcase_add_test(huge, test_huge_pages_of_1_gib);
	suite_add_tcase(suite, huge);

	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
