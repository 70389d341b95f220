/* SPDX-License-Identifier: MIT */
/*
 * ends.pml - learning that the last one of the other side has left (shm/end.c, client/ends.c) for spin.
 *
 * Receivers come and go: each takes a word of the table, and gives it back. One sender has asked to
 * be told (-EPIPE). It has remembered how many had gone when it opened the queue. It looks, and sleeps
 * as long as one is there, or none has gone yet.
 *
 *	come	swap word 0 -> mine; moved + 1
 *	go	gone + 1; word := 0; moved + 1; wake whoever is armed
 *	reaper	of the dead: gone + 1; word := 0; in the end, whatever it found: moved + 1; wake
 *	open	gone0 := gone; a look whether one is there
 *	look	m := moved; as when it looked last: the same verdict. Else g := gone; all words, and again:
 *		none, and gone still g; and one was there at the open, or g is not gone0: the last one
 *		has left
 *
 * To look at words one after the other is not to look at once: one may come where was looked already,
 * before the last that is seen leaves. Of two looks with nobody gone between, the second tells: whoever
 * came in the first has not gone, and is seen.
 *
 * Receivers may die between two steps (KILLS), and so may the reaper, which begins again (RKILLS).
 * What the eventcount does is in poller.pml; here a wake is one step. That a sleeper looks each
 * second is not in the model.
 *
 * All accesses are seq_cst: each atomic step here has one, the rest of it is local or a ghost.
 *
 * Checked: -EPIPE is said only if, at a moment of that call, nobody had the other end open; and when
 * all stands still, the sender does not sleep if all have gone that have come since it opened.
 *
 * Each of these must give an assertion violation:
 *   -DNO_SEEN       it does not look at the open: who was about to leave then has gone unseen
 *   -DONE_LOOK      one look at all words
 *   -DGONE_UNSEEN   two looks, whoever goes between them (LINES=3; and so that the search is short,
 *                   PLACES: each receiver has a word of its own, the later ones before the earlier)
 *   -DGONE_LAST     gone is counted behind the word (the same)
 *   -DREAP_LAST     the reaper counts behind the word, and is killed there (RKILLS)
 *   -DMOVED_FIRST   moved is counted before the word
 *   -DMOVED_LAST    the sender reads moved behind its look
 *   -DCOME_QUIETLY  who comes does not count that
 *   -DONLY_FOUND    the reaper counts moved where it found a word only (KILLS)
 *   -DREAP_QUIETLY  the reaper wakes nobody (KILLS)
 *   -DWAKE_FIRST    whoever goes wakes before it gives its word back
 *   -DNO_LOOK       the sender does not look again once it has armed
 */
#ifndef RECEIVERS
#define RECEIVERS 3
#endif
#ifndef LINES
#define LINES 2
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef RKILLS
#define RKILLS 0
#endif

/* The segment. */
byte word[LINES];
byte moved, gone;
bool armed;
byte sequence;

/* Who has died, and is to be reaped. */
bool dead[RECEIVERS + 1];
byte n_done;			/* receivers that have ended, and were reaped if they died */
byte n_kills = KILLS, n_reaper_kills = RKILLS;

/* Ghosts. */
bool is_open[RECEIVERS + 1];	/* from its coming, which is told, to its word's end */
byte n_open;
bool was_none;			/* in this call of the sender */
bool has_come;			/* since the sender opened the queue */
bool is_asleep;

#if KILLS
inline may_die() {
	if
	:: skip
	:: atomic { n_kills > 0 -> n_kills--; dead[me] = true; goto died }
	fi
}
#else
#define may_die() skip
#endif

inline wake() {
	atomic {
		if
		:: armed -> sequence++; armed = false
		:: else
		fi
	}
}

inline leave(who) {
	if
	:: is_open[who] ->
		is_open[who] = false;
		n_open--;
		if
		:: n_open == 0 -> was_none = true
		:: else
		fi
	:: else
	fi
}

proctype Receiver(byte me) {
	byte mine;

	atomic {
#ifdef PLACES
		mine = LINES - me;
#else
		if
		:: word[0] == 0 -> mine = 0
		:: word[1] == 0 -> mine = 1
#if LINES > 2
		:: word[2] == 0 -> mine = 2
#endif
		fi;
#endif
		word[mine] = me
	}
	may_die();
#ifndef COME_QUIETLY
	atomic { moved++; is_open[me] = true; n_open++; has_come = true }
#else
	atomic { is_open[me] = true; n_open++; has_come = true }
#endif
	may_die();
#ifdef WAKE_FIRST
	wake();
#endif
#ifndef GONE_LAST
	gone++;
	may_die();
#endif
#ifdef MOVED_FIRST
	moved++;
	may_die();
#endif
	atomic { word[mine] = 0; leave(me) }
	may_die();
#ifdef GONE_LAST
	gone++;
	may_die();
#endif
#ifndef MOVED_FIRST
	moved++;
	may_die();
#endif
#ifndef WAKE_FIRST
	wake();
#endif
	n_done++;
died:	skip
}

#define may_begin_again()                                                       \
	if                                                                      \
	:: skip                                                                 \
	:: atomic { n_reaper_kills > 0 -> n_reaper_kills--; goto again }        \
	fi

/* One word, which is read, and is the dead one's or not. */
#ifdef REAP_LAST
#define sweep(i)                                                                \
	if                                                                      \
	:: word[i] != who -> skip                                               \
	:: else ->                                                              \
		atomic { word[i] = 0; leave(who); found = true }                \
		may_begin_again();                                              \
		gone++                                                          \
	fi
#else
#define sweep(i)                                                                \
	if                                                                      \
	:: word[i] != who -> skip                                               \
	:: else ->                                                              \
		gone++;                                                         \
		may_begin_again();                                              \
		atomic { word[i] = 0; leave(who); found = true }                \
		may_begin_again()                                               \
	fi
#endif

active proctype Reaper() {
	byte who;
	bool found;

again:
	atomic {
		if
		:: n_done == RECEIVERS -> goto end
		:: dead[1] -> who = 1
		:: dead[2] -> who = 2
#if RECEIVERS > 2
		:: dead[3] -> who = 3
#endif
		fi;
		found = false
	}
	sweep(0);
	sweep(1);
#if LINES > 2
	sweep(2);
#endif
#ifdef ONLY_FOUND
	if
	:: found -> moved++
	:: else
	fi;
#else
	moved++;
#endif
	may_begin_again();
#ifndef REAP_QUIETLY
	wake();
#endif
	atomic { dead[who] = false; n_done++ }
	goto again;
end:	skip
}

#define look_at(i) is_there = is_there || word[i] != 0

/* All words, one after the other. */
inline look_at_all() {
	look_at(0);
	look_at(1)
#if LINES > 2
	;
	look_at(2)
#endif
}

/* The verdict: is_gone. */
inline look() {
	atomic { m = moved; is_new = !has_verdict || m != seen; is_there = false }
	if
	:: !is_new -> skip
	:: else ->
		g = gone;
		look_at_all();
#ifndef ONE_LOOK
		look_at_all();
#endif
#ifdef GONE_UNSEEN
		is_gone = !is_there && (has_seen || g != gone_at_open);
#else
		atomic { is_gone = !is_there && (has_seen || g != gone_at_open) && gone == g; is_new = gone == g }
#endif
#ifdef MOVED_LAST
		m = moved;
#endif
		/* Of a look that somebody has crossed there is no verdict. */
		atomic { seen = m; has_verdict = is_new; g = 0; is_there = false }
	fi;
	atomic { m = 0; is_new = false }
}

/* -EPIPE. It calls once more, and may find that another one has come. */
inline told() {
	atomic { assert(was_none); n_told++; was_none = n_open == 0 }
	if
	:: n_told > 1 -> break
	:: else
	fi
}

active proctype Sender() {
	byte gone_at_open, seen, m, g, s, n_told;
	bool has_verdict, has_seen, is_there, is_gone, is_new;

	gone_at_open = gone;
#ifndef NO_SEEN
	look_at_all();
	atomic { has_seen = is_there; is_there = false }
#endif
	atomic { has_come = n_open > 0; skip }
	do
	:: atomic { was_none = n_open == 0; skip }
	   look();
	   if
	   :: is_gone -> told(); goto next
	   :: else -> was_none = false
	   fi;
	   atomic { s = sequence; armed = true }
#ifndef NO_LOOK
	   atomic { was_none = n_open == 0; skip }
	   look();
	   if
	   :: is_gone -> told(); goto next
	   :: else -> was_none = false
	   fi;
#endif
	   is_asleep = true;
	   if
	   :: sequence != s -> is_asleep = false
	   :: timeout ->
		/* Nothing moves any more. */
		assert(!(n_done == RECEIVERS && has_come));
		break
	   fi;
next:	   skip
	od
}

init {
	atomic {
		run Receiver(1);
		run Receiver(2);
#if RECEIVERS > 2
		run Receiver(3);
#endif
#if RECEIVERS > 3
		run Receiver(4);
#endif
	}
}
