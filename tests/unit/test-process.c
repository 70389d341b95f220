/* SPDX-License-Identifier: MIT */
/* test-process.c - what mempoolctl says of the process behind a holder */
#include "test_segment.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/process.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct {
	const char *cgroup;
	const char *place;
} places[] = {
	{ "0::/system.slice/camera.service\n", "camera.service" },
	{ "0::/system.slice/camera.service/inner\n", "camera.service" },
	{ "0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope" },
	{ "0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.service\n", "a.service" },
	{ "0::/system.slice/docker-" ID ".scope\n", "docker 0123456789ab" },
	{ "0::/machine.slice/libpod-" ID ".scope/container\n", "libpod 0123456789ab" },
	{ "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope\n",
	  "cri-containerd 0123456789ab" },
	{ "12:pids:/docker/" ID "\n11:cpu:/docker/" ID "\n", "docker 0123456789ab" },
	{ "0::/" ID "\n", "container 0123456789ab" },
	{ "0::/\n", "" },
	{ "0::/../..\n", "" },
	{ "0::\n", "" },
	{ "", "" },
	{ "0::/.service\n", "" },
	{ "0::/a//b.service//", "b.service" },
};

START_TEST(test_process_place_of_a_cgroup)
{
	char place[PROCESS_PLACE_BYTES];

	process_place_of(places[_i].cgroup, place);
	ck_assert_str_eq(place, places[_i].place);
}
END_TEST

/* No byte behind the place is written, however long the names are. */
START_TEST(test_process_place_is_cut)
{
	char cgroup[600] = "0::/", place[PROCESS_PLACE_BYTES + 1];

	memset(cgroup + 4, 'x', 500);
	strcpy(cgroup + 504, ".service\n");
	place[PROCESS_PLACE_BYTES] = '!';
	process_place_of(cgroup, place);
	ck_assert_uint_eq(strlen(place), PROCESS_PLACE_BYTES - 1);
	ck_assert_int_eq(place[PROCESS_PLACE_BYTES], '!');
}
END_TEST

START_TEST(test_process_is_that_of_its_record_only)
{
	struct holder record = { .pid = (uint32_t)getpid() };
	struct process_words words;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	record.attached_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	ck_assert(process_is_holder(&record));
	process_describe(&record, &words);
	ck_assert(strstr(words.command, "test-process"));

	/* The record is an hour older than this process. */
	record.attached_ns -= UINT64_C(3600000000000);
	ck_assert(!process_is_holder(&record));
	process_describe(&record, &words);
	ck_assert_str_eq(words.command, "");
	ck_assert_str_eq(words.place, "");
	record.pid = 0;
	ck_assert(!process_is_holder(&record));
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, test_process_place_of_a_cgroup, 0, ARRAY_SIZE(places));
	tcase_add_test(tcase, test_process_place_is_cut);
	tcase_add_test(tcase, test_process_is_that_of_its_record_only);
}

int main(void)
{
	return test_run("process", add_tests);
}
