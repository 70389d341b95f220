/* SPDX-License-Identifier: MIT */
/*
 * poller.pml - sleeping on rings and being woken (shm/eventcount.c, client/poller.c) for spin.
 *
 * One process polls two rings on one descriptor; with SLEEPER another one sleeps on ring 0 in
 * a futex. Senders publish and wake:
 *
 *	NEAR	has the wake channel that an earlier daemon made for the poller; one sends to
 *		ring 0 (not with NO_NEAR), one to ring 1 (with OTHER)
 *	ASKER	has none, and asks the daemon (with ASKS)
 *	ALONE	has neither channel nor daemon (with LONELY)
 *
 * A wake channel is a timerfd. To set it starts it, and it is readable a little later; to clear
 * it stops it. The poller asks the daemon for one (with ASKS or RENEWS), and takes the
 * answer from its socket: others may have it, and have set it, before.
 *
 * Any sender may stop for ever between two steps (STOPS), as one that is killed does. With
 * DETACHED the daemon does not know the poller. The poller's own timer, which covers what is
 * left, is not in the model: a message of ALONE may be slept over, and one of a sender that was
 * stopped. So may any, where a peer clears the channel out of turn.
 *
 * All accesses of the code are seq_cst: each atomic step here has one, the rest of it is
 * local or a ghost.
 *
 * Checked: when everything stands still, the poller has seen each message whose sender could
 * reach it and came to its end; the sleeper has seen each whose sender came to its end.
 *
 * Each of these must give an assertion violation:
 *   -DCLEAR_FIRST    a waker clears the flag before it wakes, as if it could reach all
 *   -DSET_BACK       the same, and sets it again if it could not
 *   -DCLEAR_ANYWAY   a waker clears the flag though it did not reach the poller
 *   -DPROMISE_CLEARS or though the daemon has not answered yet
 *   -DCLEAR_STORE    whoever armed meanwhile is cleared as well
 *   -DSEQUENCE_LAST  a waker moves the sequence behind its writes
 *   -DNEWS_FIRST     the daemon wakes the poller, then answers
 *   -DDROP_OLD       the poller gives up the old channel once it has a new one
 *   -DTAKE_QUIETLY   it clears a new channel, and does not look
 *   -DCLEAR_LAST     it clears a channel once it has looked
 *   -DNO_LOOK        the poller does not look again once it has armed
 *   -DNO_ROUND       a look drains the descriptor for itself alone
 *   -DROUND_FIRST    what is to be looked at is noted before the descriptor is drained
 *   -DVERIFY_BLIND   a ring counts as seen without a look at its sequence
 *   -DARM_ONCE       what was armed once counts as armed
 *   -DSEQUENCE_AFTER a sleeper reads the sequence after it has set the flag
 */
#define RINGS 2
#ifndef SENDS
#define SENDS 1
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef DETACHED
#define DETACHED 0
#endif
#if (defined(ASKS) || defined(RENEWS)) && !DETACHED
#define WANTS 1
#else
#define WANTS 0
#endif
#define ARMED(word) ((word) & 1)

/* The segment: of each ring, how many messages, and its eventcount. */
byte published[RINGS];
byte flag[RINGS];		/* bit 0: armed; above it: how often */
byte sequence[RINGS];
bool mark[RINGS];		/* the poller's */

/* The wake channels, of an earlier daemon and of this one. */
#define OLD 0
#define NEW 1
#define STOPPED 0
#define STARTED 1
#define EXPIRED 2
byte channel[2];
bool is_watched[2];		/* by the poller */

/* The poller's descriptor is readable while a channel that it watches is, or one of these. */
bool news, passed;		/* on its socket: look again; the new channel */
bool keep;			/* its own */
#define is_woken(c) (is_watched[c] && channel[c] == EXPIRED)

/* The daemon, and who talks to it. */
bool wanted;			/* the poller wants a channel */
bool question, answer, is_found;

/* Ghosts: messages that must be seen. */
byte due[RINGS], due_asleep;
byte seen[RINGS], seen_asleep;
byte n_stops = STOPS;

#define max(a, b) ((a) > (b) -> (a) : (b))

inline may_stop() {
	if
	:: skip
	:: atomic { n_stops > 0 -> n_stops--; goto end }
	fi
}

#define NEAR 0
#define ASKER 1
#define ALONE 2

/* One that has expired is not set back: it is readable already. */
inline start(c) {
	atomic {
		if
		:: channel[c] == STOPPED -> channel[c] = STARTED
		:: else
		fi
	}
}

proctype Sender(byte kind; byte r) {
	byte n, mine, f;
	bool reached, owed, has_new, has_asked;

	do
	:: n < SENDS ->
		n++;
		atomic { published[r]++; mine = published[r] }
		may_stop();
		atomic { f = flag[r]; reached = true; owed = true }
		if
		:: !ARMED(f) -> skip
		:: else ->
#if defined(CLEAR_FIRST) || defined(SET_BACK)
			flag[r] = 0;
#endif
#ifndef SEQUENCE_LAST
			sequence[r]++;
			may_stop();
#endif
			if
			:: !mark[r] -> skip
			:: else ->
				if
				:: kind == NEAR -> start(OLD)
				:: kind == ALONE -> reached = false; owed = false
				:: else ->
					/* What the answer says stands still until the next question. */
					atomic {
						if
						:: answer ->
							answer = false; has_asked = false;
							has_new = is_found
						:: else
						fi
					}
					if
					:: has_new -> start(NEW)
					:: else ->
						reached = false;
						owed = !DETACHED;
						if
						:: !has_asked -> has_asked = true; question = true
						:: else
						fi
					fi
				fi
			fi;
			may_stop();
#ifdef SEQUENCE_LAST
			sequence[r]++;
#endif
#ifdef CLEAR_ANYWAY
			reached = true;
#endif
#ifdef PROMISE_CLEARS
			reached = reached || kind == ASKER;
#endif
#if defined(CLEAR_FIRST)
			skip
#elif defined(SET_BACK)
			if
			:: !reached -> flag[r] = 1
			:: else
			fi
#elif defined(CLEAR_STORE)
			if
			:: reached -> flag[r] = 0
			:: else
			fi
#else
			if
			:: reached ->
				atomic {
					if
					:: flag[r] == f -> flag[r] = f - 1
					:: else
					fi
				}
			:: else
			fi
#endif
		fi;
		atomic {
			if
			:: owed -> due[r] = max(due[r], mine)
			:: else
			fi;
			if
			:: r == 0 -> due_asleep = max(due_asleep, mine)
			:: else
			fi;
			mine = 0; f = 0; reached = false; owed = false
		}
	:: else -> break
	od;
end:	skip
}

proctype Daemon() {
	bool has_made;

end:	do
	:: question ->
		question = false;
#ifdef NEWS_FIRST
		news = has_made;
#endif
		atomic { is_found = has_made; answer = true }
#ifndef NEWS_FIRST
		if
		:: has_made -> news = true
		:: else
		fi
#endif
	:: wanted ->
		wanted = false;
		has_made = true;
		passed = true
	od
}

proctype Clock() {
end:	do
	:: atomic { channel[OLD] == STARTED -> channel[OLD] = EXPIRED }
	:: atomic { channel[NEW] == STARTED -> channel[NEW] = EXPIRED }
	od
}

/* An atomic swap of the flag: armed, and once more. */
inline arm(r) {
	atomic { flag[r] = ((flag[r] + 2) | 1) }
}

/* What has expired is stopped. Then what is on the socket: a new channel may be another file. */
inline drain() {
	if
	:: is_woken(OLD) -> channel[OLD] = STOPPED; has_news = true
	:: else
	fi;
	if
	:: is_woken(NEW) -> channel[NEW] = STOPPED; has_news = true
	:: else
	fi;
	if
	:: news -> news = false; has_news = true
	:: else
	fi;
	if
	:: passed ->
		passed = false;
		channel[NEW] = STOPPED;
		is_watched[NEW] = true;
#ifdef DROP_OLD
		is_watched[OLD] = false;
#endif
#ifndef TAKE_QUIETLY
		has_news = true
#endif
	:: else
	fi
}

proctype Poller() {
	byte r, g, at[RINGS];
	bool pending[RINGS], is_armed[RINGS], is_new, has_news = true;

	do
	:: is_woken(OLD) || is_woken(NEW) || news || passed || keep ->
		r = 0;
		do
		:: r < RINGS ->
look:			/* Until there is nothing: that is the first look. */
			atomic { seen[r] = published[r] }
			/* A round is over: is there reason for another? */
			if
			:: !pending[0] && !pending[1] ->
#ifdef ROUND_FIRST
				pending[0] = (sequence[0] != at[0] || !is_armed[0]);
				pending[1] = (sequence[1] != at[1] || !is_armed[1]);
#endif
#ifndef CLEAR_LAST
				drain();
#else
				has_news = has_news || is_woken(OLD) || is_woken(NEW) || news || passed;
#endif
#if !defined(ROUND_FIRST) && !defined(NO_ROUND)
				pending[0] = has_news; pending[1] = has_news;
#endif
				has_news = false
			:: else
			fi;
			pending[r] = false;
			atomic {
#ifdef ARM_ONCE
				is_new = !is_armed[r];
#else
				is_new = !is_armed[r] || sequence[r] != at[r];
#endif
				at[r] = sequence[r]
			}
			if
			:: is_new -> mark[r] = true; arm(r); is_armed[r] = true
			:: else
			fi;
			/* One step through what is pending. */
			g = 1 - r;
			atomic {
				if
#ifdef VERIFY_BLIND
				:: pending[g] && is_armed[g] -> pending[g] = false
#else
				:: pending[g] && is_armed[g] && sequence[g] == at[g] ->
					pending[g] = false
#endif
				:: else
				fi;
				keep = pending[0] || pending[1]
			}
#ifndef NO_LOOK
			if
			:: is_new && seen[r] != published[r] -> goto look
			:: else
			fi;
#endif
#ifdef CLEAR_LAST
			drain();
			has_news = false;
#endif
			r++
		:: else -> break
		od;
		r = 0; g = 0; is_new = false
	:: timeout ->
		assert(seen[0] >= due[0]);
		assert(seen[1] >= due[1]);
		break
	od
}

/* In a futex, with one slice that never ends. */
proctype Sleeper() {
	byte prepared;

	do
	:: true ->
#ifdef SEQUENCE_AFTER
		arm(0);
		prepared = sequence[0];
#else
		prepared = sequence[0];
		arm(0);
#endif
		if
		:: atomic { seen_asleep != published[0] -> seen_asleep = published[0] }
		:: atomic { else -> prepared = prepared } ->
			if
			:: sequence[0] != prepared
			:: timeout ->
				assert(seen_asleep >= due_asleep);
				break
			fi
		fi
	od
}

init {
	atomic {
		keep = true;		/* as mempool_client_fd() leaves it */
		wanted = WANTS;
		is_watched[OLD] = true;
		run Poller();
		run Daemon();
		run Clock();
#ifdef SLEEPER
		run Sleeper();
#endif
#ifndef NO_NEAR
		run Sender(NEAR, 0);
#endif
#ifdef OTHER
		run Sender(NEAR, 1);
#endif
#ifdef ASKS
		run Sender(ASKER, 0);
#endif
#ifdef LONELY
		run Sender(ALONE, 0);
#endif
	}
}
