/* SPDX-License-Identifier: MIT */
/*
 * poller.pml - sleeping on rings and being woken (shm/eventcount.c, client/poller.c) for spin.
 *
 * One process polls two rings on one descriptor; with SLEEPER another one sleeps on ring 0 in
 * a futex. Senders publish and wake:
 *
 *	NEAR	has the poller's wake channel; one sends to ring 0 (not with NO_NEAR), one to
 *		ring 1 (with OTHER)
 *	ASKER	has it not, and asks the daemon (with ASKS)
 *	ALONE	has neither channel nor daemon (with LONELY)
 *
 * Any sender may stop for ever between two steps (STOPS), as one that is killed does. With
 * DETACHED the daemon does not know the poller. The timer, which covers what is left, is not
 * in the model: a message of ALONE may be slept over, and one of a sender that was stopped.
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
#define ARMED(word) ((word) & 1)

/* The segment: of each ring, how many messages, and its eventcount. */
byte published[RINGS];
byte flag[RINGS];		/* bit 0: armed; above it: how often */
byte sequence[RINGS];
bool mark[RINGS];		/* the poller's */

/* The poller's descriptor is readable while one of these is set. */
bool channel;			/* what "near" writes to */
bool news;			/* on its socket */
bool keep;			/* its own */

/* The asker and the daemon. */
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

proctype Sender(byte kind; byte r) {
	byte n, mine, f;
	bool reached, owed, has_channel = (kind == NEAR), has_asked;

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
				:: has_channel -> channel = true
				:: !has_channel && kind == ALONE ->
					reached = false; owed = false
				:: !has_channel && kind == ASKER ->
					if
					:: atomic { answer -> answer = false } ->
						has_channel = is_found;
						if
						:: has_channel -> channel = true
						:: else -> reached = false; owed = false
						fi
					:: atomic { else ->
						reached = false;
						owed = !DETACHED;
						if
						:: !has_asked -> has_asked = true; question = true
						:: else
						fi }
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
end:	do
	:: question ->
		question = false;
#ifdef NEWS_FIRST
		news = !DETACHED;
#endif
		atomic { is_found = !DETACHED; answer = true }
#ifndef NEWS_FIRST
		if
		:: !DETACHED -> news = true
		:: else
		fi
#endif
	od
}

/* An atomic swap of the flag: armed, and once more. */
inline arm(r) {
	atomic { flag[r] = ((flag[r] + 2) | 1) }
}

proctype Poller() {
	byte r, g, at[RINGS];
	bool pending[RINGS], is_armed[RINGS], is_new;

	do
	:: channel || news || keep ->
		r = 0;
		do
		:: r < RINGS ->
look:			/* Until there is nothing: that is the first look. */
			atomic { seen[r] = published[r] }
			/* A round is over: is there reason for another? */
			if
			:: !pending[0] && !pending[1] && (channel || news) ->
#ifdef ROUND_FIRST
				pending[0] = (sequence[0] != at[0] || !is_armed[0]);
				pending[1] = (sequence[1] != at[1] || !is_armed[1]);
#endif
				channel = false;
				news = false;
#if !defined(ROUND_FIRST) && !defined(NO_ROUND)
				pending[0] = true; pending[1] = true
#endif
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
		channel = true;		/* as mempool_client_fd() leaves it */
		run Poller();
		run Daemon();
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
