/* SPDX-License-Identifier: MIT */
#include "wait.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "cache.h"
#include "parts.h"
#include "shm/barrier.h"
#include "shm/clock.h"

/* Of a processor: some tens of nanoseconds, on most of them. */
#define SPIN_PAUSES 8

static bool is_retired(const struct wait_place *place)
{
	return segment_state(place->client->segment) == MEMPOOL_SEGMENT_RETIRED;
}

/* Sleeping is the user's business: make its descriptor tell, and look once more if need be. */
static int try_armed(const struct wait_place *place, wait_try_fn try, void *userdata)
{
	/* Relaxed: only whether it is worth a second look; poller_arm() acquires. */
	if (!place->look ||
	    !atomic_load_explicit(&place->client->poller.is_used, memory_order_relaxed))
		return -EAGAIN;
	return poller_arm(&place->client->poller, place->look) ? try(userdata) : -EAGAIN;
}

/* The time that the caller gave is over, and not for want of trying. */
static int end_of_time(const struct wait_place *place, wait_try_fn try, void *userdata)
{
	int r = try_armed(place, try, userdata);

	return r == -EAGAIN && place->client->tells_timeout ? -ETIMEDOUT : r;
}

static bool is_woken(const struct wait_place *place)
{
	/* V1 (seq_cst) pairs with V2 in wait_wake(): behind the arming, as the look is. */
	uint64_t n_wakes = atomic_load_explicit(&place->client->n_wakes, memory_order_seq_cst);
	bool is_new = n_wakes != *place->n_wakes_seen;

	*place->n_wakes_seen = n_wakes;
	return is_new;
}

static void wake_sleepers(struct mempool_eventcount *eventcount)
{
	if (eventcount_is_armed(eventcount))
		eventcount_move(eventcount);
}

void wait_wake(struct mempool_client *client)
{
	const struct segment *segment = client->segment;

	/*
	 * V2 (seq_cst) pairs with V1, as E1 with E2: either we see that a sleeper has armed, and move
	 * the sequence that it has read before; or its look behind the arming sees this.
	 */
	atomic_fetch_add_explicit(&client->n_wakes, 1, memory_order_seq_cst);
	/* It sleeps on nothing that it could not write. */
	if (client->role == MEMPOOL_ROLE_SPECTATOR)
		return;
	wake_sleepers(&segment->header->chunk_freed);
	for (uint32_t i = 0; i < segment->config.n_rings; i++) {
		wake_sleepers(&segment->rings[i].filled);
		wake_sleepers(&segment->rings[i].emptied);
	}
}

/* Negative: for ever. */
static int64_t shorter(int64_t ns, int64_t other_ns)
{
	return other_ns >= 0 && other_ns < ns ? other_ns : ns;
}

/* Negative, of what is left too: as long as it likes. */
static int64_t slice_of(const struct wait_place *place, int64_t left_ns, bool is_deaf)
{
	if (place->slice_ns)
		left_ns = shorter(*place->slice_ns, left_ns);
	return is_deaf ? shorter(WAIT_NAP_MAX_NS, left_ns) : left_ns;
}

/*
 * Behind the arming, before the look: E6 (a membarrier) pairs with E5 in shm/queue.c, where the other side
 * publishes by a plain store. Return: false: there is none, and a waker may not have seen us.
 */
static bool reach_wakers(const struct wait_place *place)
{
	return !place->look || !place->look->peer_stores || barrier_all();
}

/*
 * Without a word to sleep on: a nap, each as long again as the one before, up to the longest.
 * Return: 0; -EINTR a signal handler ran.
 */
static int nap(int64_t *nap_ns, int64_t left_ns)
{
	int64_t ns = left_ns >= 0 && left_ns < *nap_ns ? left_ns : *nap_ns;
	const struct timespec span = { .tv_nsec = (long)ns };

	*nap_ns = *nap_ns < WAIT_NAP_MAX_NS / 2 ? *nap_ns * 2 : WAIT_NAP_MAX_NS;
	return -clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
}

/* Between two looks while it spins: the other thread of the processor goes on meanwhile. */
static void pause_a_little(void)
{
	for (int i = 0; i < SPIN_PAUSES; i++) {
#if defined(__x86_64__) || defined(__i386__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__("yield");
#endif
	}
}

/*
 * Look again and again. What comes meanwhile is seen without a system call of either side: nobody is
 * armed. Return: what the try says; -ECANCELED; -EAGAIN it is time to sleep, or all is over.
 */
static int spin(const struct wait_place *place, wait_try_fn try, void *userdata, int64_t until_ns)
{
	int r;

	do {
		pause_a_little();
		r = try(userdata);
		if (r == -EAGAIN && is_woken(place))
			r = -ECANCELED;
		if (r != -EAGAIN)
			return r;
		/* As before a sleep: the try has left nothing behind. */
		pthread_testcancel();
	} while (clock_now_ns() < until_ns && !is_retired(place));
	return -EAGAIN;
}

int wait_on(const struct wait_place *place, wait_try_fn try, void *userdata, int64_t timeout_ns)
{
	int64_t left, start, nap_ns = WAIT_NAP_MIN_NS;
	bool was_retired, is_cut;
	int r;

	if (timeout_ns == 0)
		return try_armed(place, try, userdata);

	was_retired = is_retired(place);
	is_cut = was_retired && (timeout_ns < 0 || timeout_ns > EVENTCOUNT_SLICE_NS);
	if (is_cut)
		timeout_ns = EVENTCOUNT_SLICE_NS;
	left = timeout_ns;
	start = clock_now_ns();
	if (place->spins && place->client->spin_ns > 0) {
		r = spin(place, try, userdata,
			 clock_after_ns(shorter(place->client->spin_ns, timeout_ns)));
		if (r != -EAGAIN)
			return r;
	}
	for (;;) {
		uint32_t prepared = 0;
		bool is_deaf = false;
		int slept;

		if (place->eventcount) {
			prepared = eventcount_prepare(place->eventcount);
			is_deaf = !reach_wakers(place);
		}

		r = try(userdata);
		if (r != -EAGAIN)
			return r;
		if (is_woken(place))
			return -ECANCELED;
		/* After prepared was read: a retirement not seen here moves the sequence. */
		if (!was_retired && is_retired(place))
			return try_armed(place, try, userdata);
		if (timeout_ns > 0) {
			left = timeout_ns - (clock_now_ns() - start);
			if (left <= 0)
				return is_cut ? try_armed(place, try, userdata)
					      : end_of_time(place, try, userdata);
		}
		cache_rest(place->client);
		/* The try has left nothing behind. Of the sleeps, only the nap is one by itself. */
		pthread_testcancel();
		if (place->eventcount)
			slept = eventcount_sleep(place->eventcount, prepared,
						 slice_of(place, left, is_deaf));
		else
			slept = nap(&nap_ns, left);
		if (slept < 0 && !(slept == -EINTR && place->client->restarts)) {
			/* The signal may be that of a cancel: glibc sends one from 2.41 on. */
			pthread_testcancel();
			return slept;
		}
	}
}
