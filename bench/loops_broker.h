/* SPDX-License-Identifier: MIT */
/* loops_broker.h - the loops of the broker: its start, an attach, its memory; a part of loops.h */
#ifndef BENCH_LOOPS_BROKER_H
#define BENCH_LOOPS_BROKER_H

#ifdef HAS_BROKER

#define STARTS 5
#define ATTACHES 20

static void start(void)
{
	struct slices *slices = slices_new();

	for (int i = 0; i < STARTS; i++) {
		slices_add(slices, broker_start());
		broker_stop();
	}
	print_figure(bench_work, slices_finish(slices) * 1e3, "ms", 0);
}

/* Each time in a process that has not been attached before. */
static void attach(void)
{
	struct meeting *meeting = meeting_new(2);
	struct slices *opens = slices_new(), *closes = slices_new();
	int status;

	system_open();
	for (int i = 0; i < ATTACHES; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("no child");
		if (pid == 0) {
			uint64_t begin, middle;

			broker_guest();
			begin = clock_ns();
			system_join(0);
			middle = clock_ns();
			system_leave(0);
			meeting->result[0] = (double)(middle - begin);
			meeting->result[1] = (double)(clock_ns() - middle);
			exit(0);
		}
		if (waitpid(pid, &status, 0) != pid)
			fail("a client is lost");
		if (status != 0)
			exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
		slices_add(opens, meeting->result[0]);
		slices_add(closes, meeting->result[1]);
	}
	print_figure("attach", slices_finish(opens) / 1e3, "us", 0);
	print_figure("close", slices_finish(closes) / 1e3, "us", 0);
	system_close();
}

static double rss_anon_mib(pid_t pid)
{
	char path[32], line[256];
	double kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtod(line + 8, NULL);
	if (!file || kib < 0)
		fail("no RssAnon");
	fclose(file);
	return kib / 1024;
}

static void memory(void)
{
	system_open();
	print_figure("RssAnon", rss_anon_mib(broker_pid()), "MiB", 0);
	print_figure("segment",
		     (double)broker_segment_bytes() /
			     ((double)setup.bytes * (double)setup.n_chunks),
		     "bytes a payload byte", 0);
	system_close();
}

#endif /* HAS_BROKER */

#endif
