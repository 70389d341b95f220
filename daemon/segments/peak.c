/* SPDX-License-Identifier: MIT */
#include "daemon/segments/peak.h"

#include "daemon/base/clock.h"

#define PEAK_STEP_WORDS 2048
#define PEAK_INTERVAL_NS UINT64_C(1000000000)
#define PEAK_REST 50			/* so many times the work */

/* Up to so many words. Return: whether all pools have been read. */
static bool count_slice(struct peak *peak, uint32_t max)
{
	const struct segment *segment = peak->segment;

	while (peak->pool <= segment->n_pools) {
		const struct pool *pool = &segment->pools[peak->pool];

		for (; peak->index < pool->n_chunks && max > 0; peak->index++, max--)
			/* Relaxed: a count, of what may move while it is counted. */
			peak->n_used += !pool_is_free(
				pool, atomic_load_explicit(&pool->entries[peak->index].word,
							   memory_order_relaxed));
		if (peak->index < pool->n_chunks)
			return false;
		pool_saw_used(pool, peak->n_used);
		peak->index = 0;
		peak->n_used = 0;
		peak->pool++;
	}
	peak->pool = 0;
	return true;
}

static void rest(struct peak *peak, uint64_t ns)
{
	const struct timeval delay = { (time_t)(ns / 1000000000),
				       (suseconds_t)(ns % 1000000000 / 1000) };

	evtimer_add(&peak->rest, &delay);
}

static bool count_on(void *userdata)
{
	struct peak *peak = userdata;
	uint64_t begun_ns = clock_monotonic_ns();
	bool is_done = count_slice(peak, PEAK_STEP_WORDS);
	uint64_t rest_ns;

	peak->busy_ns += clock_monotonic_ns() - begun_ns;
	if (!is_done)
		return true;
	rest_ns = peak->busy_ns * PEAK_REST;
	peak->busy_ns = 0;
	rest(peak, rest_ns > PEAK_INTERVAL_NS ? rest_ns : PEAK_INTERVAL_NS);
	return false;
}

static void on_rest(evutil_socket_t fd, short what, void *userdata)
{
	struct peak *peak = userdata;

	(void)fd;
	(void)what;
	chore_start(&peak->count);
}

void peak_init(struct peak *peak, struct event_base *base, struct chores *chores,
	       const struct segment *segment)
{
	*peak = (struct peak){ .segment = segment };
	evtimer_assign(&peak->rest, base, on_rest, peak);
	chore_init(&peak->count, chores, count_on, peak);
}

void peak_start(struct peak *peak)
{
	if (peak->segment && !evtimer_pending(&peak->rest, NULL))
		chore_start(&peak->count);
}

void peak_stop(struct peak *peak)
{
	evtimer_del(&peak->rest);
	chore_stop(&peak->count);
	/* The next one begins anew. */
	peak->pool = 0;
	peak->index = 0;
	peak->n_used = 0;
	peak->busy_ns = 0;
}
