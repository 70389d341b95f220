/* SPDX-License-Identifier: MIT */
#include "daemon/segments/release.h"

#include <stdlib.h>

#include "daemon/base/jobs.h"
#include "daemon/segments/state.h"
#include "shm/segment.h"

struct release {
	struct job job;			/* the first */
	struct segment *segment;
	struct segment_fds fds;
	struct state *file;
};

static void finish(struct segment *segment, struct segment_fds fds, struct state *file)
{
	segment_free(segment);
	segment_fds_close(fds);
	state_free(file);
}

static bool on_begin(struct job *job)
{
	(void)job;
	return true;
}

static void on_work(struct job *job)
{
	struct release *release = (struct release *)job;
	bool is_more = release->segment != NULL;

	while (is_more && !job_is_given_up(job))
		is_more = segment_memory_unmap_piece(&release->segment->memory);
	if (is_more)
		return;
	finish(release->segment, release->fds, release->file);
	release->segment = NULL;
	release->fds = SEGMENT_FDS_NULL;
	release->file = NULL;
}

/* Also of what the thread has not come to. */
static void release_free(struct job *job)
{
	struct release *release = (struct release *)job;

	finish(release->segment, release->fds, release->file);
	free(release);
}

static void on_done(struct job *job, int error)
{
	(void)error;
	release_free(job);
}

void release_segment(struct jobs *jobs, struct segment *segment, struct segment_fds fds,
		     struct state *file)
{
	static const struct job_fns fns = {
		.gives_memory = true,
		.begin = on_begin,
		.work = on_work,
		.done = on_done,
		.stopped = release_free,
	};
	struct release *release = calloc(1, sizeof(*release));

	if (!release) {
		finish(segment, fds, file);
		return;
	}
	release->job.fns = &fns;
	release->segment = segment;
	release->fds = fds;
	release->file = file;
	jobs_ask(jobs, &release->job);
}
