/* SPDX-License-Identifier: MIT */
/*
 * share.pml - sharing (shm/chunk_manager.c, client/share.c, and the reaper's part in
 * shm/reap.c) for spin.
 *
 * One chunk and two ChunkManagers. CLIENTS processes, each with its sharer bit: the first in
 * one word of bits, the others in another, for words cannot be read at once. With TOGETHER
 * the first two are threads of one process, which has one bit and counts its references.
 * Each shares the chunk, or acquires the handle that was published last, ROUNDS times, and
 * lets go. With SAME these two threads also share one chunk at the same time: the one that
 * claimed it lends it to the other, and lets go when that one's call has returned. With UNSHARE
 * each tries to have the chunk alone again before it lets go. Any process may be killed between
 * any two accesses to shared memory (KILLS), and so may the reaper (RKILLS), which then starts
 * its sweep again.
 *
 * Each step has one access to shared memory, and all come in one order: the code has every
 * access to bits and managers seq_cst for that reason.
 *
 * Checked:
 *   who has shared or acquired keeps his incarnation: chunk, generation and manager stay as
 *   they are until he lets go;
 *   a handle can be acquired as soon as its share has returned;
 *   nothing is claimed, or freed, twice;
 *   whoever gets the chunk finds a free manager to share it with;
 *   whoever has unshared it has it alone until he frees it, and who was refused holds it still;
 *   when all stands still and the dead are reaped: the chunk and both managers are free.
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion
 * violation:
 *   -DNO_STAMP         an acquire does not move the stamp
 *   -DSTAMP_FIRST      it moves the stamp, then sets its bit
 *   -DNO_RECHECK       it does not look at the chunk's word again
 *   -DNO_COLLECT       one that came too late clears its bit, but collects nothing
 *   -DTAKE_ANYWAY      the collector does not ask whether the stamp was moved
 *   -DONE_WORD         the collector reads only one word of bits
 *   -DCHUNK_FIRST      the collector frees the chunk before the manager
 *   -DREAP_CHUNK_FIRST so does the reaper, of a manager that is OWNED by the dead
 *   -DREAP_WORDS_FIRST the reaper frees chunks first, then managers
 *   -DREAP_BITS_ONLY   the reaper collects only where the dead had a bit
 *   -DREAP_NO_OWNED    the reaper does not free the chunk of a manager that is OWNED
 *   -DREAP_ANONYMOUS   the reaper collects in its own name (RKILLS)
 *   -DFIRST_SETS       only the first reference of a process sets the bit (TOGETHER)
 *   -DNO_BUSY          the last reference and its bit go in two steps (TOGETHER)
 *   -DCOUNT_LATE       a share counts itself after it wrote the bits (TOGETHER)
 *   -DSHARE_STORE      a share stores the chunk's word instead of swapping it (SAME)
 *   -DOPEN_LATE        the chunk leads to the manager before that is SHARED (SAME)
 *   -DLOSER_KEEPS      of two that share, the second keeps its manager (SAME)
 *   -DUNSHARE_ANYWAY   an unshare does not ask whether the stamp was moved (UNSHARE)
 *   -DUNSHARE_ONE_WORD it reads only one word of bits (UNSHARE)
 *   -DUNSHARE_CLEARS   it clears its own bit first, and sets it again if it is refused (UNSHARE)
 *   -DUNSHARE_FREES    it frees the manager before the chunk's word leads away (UNSHARE)
 *   -DUNSHARE_COUNTLESS it does not look at the references of its process (UNSHARE, TOGETHER)
 *   -DUNSHARE_NO_BUSY  it does not keep other threads off meanwhile (UNSHARE, TOGETHER)
 *
 * Not a mutant: a share that does not wipe the bits of those who came late (LATE_BITS). They
 * drop them themselves, and collect; wiped, the chunk is free a little earlier.
 */
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef RKILLS
#define RKILLS 0
#endif
#define FREE   0
#define OWNED  1
#define SHARED 2
#define DAEMON 9

#ifdef SAME
#define TOGETHER
#endif
#ifdef TOGETHER
#define PROCESS(client) (client == 1 -> 1 : client - 1)
#else
#define PROCESS(client) client
#endif

byte cg = 1, ck, cv;			/* the chunk's word: generation, kind, value */
byte mg[2], mk[2], mv[2];		/* the managers'; value: owner, or stamp */
bool has[8];				/* sharer bits: of process p on manager m, p * 2 + m */
bool linked[2];				/* back link, to the only chunk */
byte handle;				/* the last one that was published; 0: none */
byte refs[8];				/* private to a process: p * 2 + m */
bool busy[8];
byte n_running[4];			/* threads of a process */
bool lent;				/* the chunk, to the other thread of process 1 */
byte n_lent;				/* which is in its call */
bool killed[4], reaped[4];
byte n_clients = CLIENTS, kills_left = KILLS, rkills_left = RKILLS;
bool rkill;

#define HOLDS(h, m) (ck == SHARED && cg == h && cv == m)

inline load_manager(m) { d_step { s_g = mg[m]; s_k = mk[m]; s_v = mv[m] } }

inline leave_shared(m, as, kind) {
	d_step {
		won = (linked[m] && ck == SHARED && cv == m);
		if :: won -> cg = cg + 1; ck = kind; cv = as :: else fi
	}
}

inline free_manager(m, as) {
	d_step { assert(mk[m] == OWNED && mv[m] == as); mg[m] = mg[m] + 1; mk[m] = FREE; mv[m] = 0 }
}

/* OWNED(as), with the chunk if it is still its: the chunk to OWNED, the manager, the chunk. */
inline free_both(m, as) {
	leave_shared(m, as, OWNED);
	free_manager(m, as);
	d_step {
		if :: won -> assert(ck == OWNED && cv == as); cg = cg + 1; ck = FREE; cv = 0 :: else fi;
		won = 0
	}
}

/* After every clearing of a bit. Who fails by another's stamp may leave it to him. */
inline collect(m, as) {
	g0 = mg[m];
	do
	:: load_manager(m);
	   if :: s_k != SHARED || s_g != g0 -> break :: else fi;
	   x = has[2 + m]; if :: x -> break :: else fi;
#ifndef ONE_WORD
	   d_step { x = has[4 + m] || has[6 + m] }; if :: x -> break :: else fi;
#endif
	   d_step {
		if
#ifdef TAKE_ANYWAY
		:: mk[m] == SHARED && mg[m] == s_g ->
#else
		:: mk[m] == SHARED && mg[m] == s_g && mv[m] == s_v ->
#endif
			mk[m] = OWNED; mv[m] = as; won = 1
		:: else -> won = 0
		fi
	   };
	   if
#ifdef CHUNK_FIRST
	   :: won -> leave_shared(m, 0, FREE); free_manager(m, as); break
#else
	   :: won -> free_both(m, as); break
#endif
	   :: !won -> if :: true -> break :: true fi
	   fi
	od;
	atomic { s_g = 0; s_k = 0; s_v = 0; g0 = 0; x = 0; won = 0 }
}

/* client/share.c: a reference, and the bit */
inline add(m) {
#ifdef TOGETHER
	atomic { !busy[p * 2 + m] -> refs[p * 2 + m]++; first = (refs[p * 2 + m] == 1) };
#ifdef FIRST_SETS
	if :: first -> has[p * 2 + m] = 1 :: else fi
#else
	has[p * 2 + m] = 1
#endif
#else
	has[p * 2 + m] = 1
#endif
}

inline drop(m) {
#ifdef TOGETHER
	d_step {
		assert(refs[p * 2 + m] > 0);
		refs[p * 2 + m]--;
		won = (refs[p * 2 + m] == 0);
#ifndef NO_BUSY
		busy[p * 2 + m] = won
#endif
	};
	if
	:: won ->
		d_step { won = 0; has[p * 2 + m] = 0 };
		busy[p * 2 + m] = 0;
		collect(m, p)
	:: else
	fi
#else
	has[p * 2 + m] = 0;
	collect(m, p)
#endif
}

/* shm/chunk_manager.c. Return: won, the chunk is ours alone */
inline unshare_manager(m) {
#ifdef UNSHARE_CLEARS
	has[p * 2 + m] = 0;
#endif
	load_manager(m);
	x = (p != 1 && has[2 + m]);
#ifndef UNSHARE_ONE_WORD
	if
	:: x
	:: else -> d_step { x = (p != 2 && has[4 + m]) || (p != 3 && has[6 + m]) }
	fi;
#endif
	d_step {
		if
#ifdef UNSHARE_ANYWAY
		:: !x && mk[m] == SHARED && mg[m] == s_g ->
#else
		:: !x && mk[m] == SHARED && mg[m] == s_g && mv[m] == s_v ->
#endif
			mk[m] = OWNED; mv[m] = p; won = 1
		:: else -> won = 0
		fi
	};
	if
	:: won ->
		has[p * 2 + m] = 0;
#ifdef UNSHARE_FREES
		free_manager(m, p);
		leave_shared(m, p, OWNED);
#else
		leave_shared(m, p, OWNED);
		free_manager(m, p);
#endif
		assert(won)
	:: else
#ifdef UNSHARE_CLEARS
		has[p * 2 + m] = 1
#endif
	fi
}

/* client/share.c: only a process with one reference may try, and no other begins meanwhile. */
inline unshare(m) {
#if defined(TOGETHER) && !defined(UNSHARE_COUNTLESS)
	d_step {
		won = (refs[p * 2 + m] == 1 && !busy[p * 2 + m]);
#ifndef UNSHARE_NO_BUSY
		if :: won -> refs[p * 2 + m] = 0; busy[p * 2 + m] = 1 :: else fi
#endif
	};
	if
	:: won ->
		won = 0;
		unshare_manager(m);
		d_step {
#ifndef UNSHARE_NO_BUSY
			refs[p * 2 + m] = (won -> 0 : 1);
			busy[p * 2 + m] = 0
#else
			if :: won -> refs[p * 2 + m]-- :: else fi
#endif
		}
	:: else
	fi;
#else
	unshare_manager(m);
#ifdef TOGETHER
	d_step { if :: won -> refs[p * 2 + m]-- :: else fi };
#endif
#endif
	atomic { x = 0; s_g = 0; s_k = 0; s_v = 0 }
}

/* One that holds the chunk tries to have it alone; else he lets go. */
inline let_go(m) {
#ifdef UNSHARE
	if
	:: true ->
		unshare(m);
		if
		:: won ->
			won = 0;
			assert(ck == OWNED && cv == p && cg == h + 1);
			d_step { assert(ck == OWNED && cv == p && cg == h + 1); cg = cg + 1; ck = FREE; cv = 0 };
			goto next
		:: else
		fi;
		assert(HOLDS(h, m))
	:: true
	fi;
#endif
	drop(m)
}

inline swap_word() {
	d_step {
		h = cg;
#ifdef SHARE_STORE
		ck = SHARED; cv = m; won = 1
#else
		won = (ck == OWNED && cv == p);
		if :: won -> ck = SHARED; cv = m :: else fi
#endif
	}
}

inline open_manager() {
	d_step { assert(mk[m] == OWNED && mv[m] == p); mk[m] = SHARED; mv[m] = 0 }
}

/* A chunk that our process has alone. */
inline share_owned() {
	/* either: which one a hint names is chance */
	atomic {
		if
		:: mk[0] == FREE -> m = 0
		:: mk[1] == FREE -> m = 1
#ifdef SAME
		:: else -> goto look
#endif
		fi;
		mk[m] = OWNED; mv[m] = p
	};
#ifndef COUNT_LATE
	add(m);
#endif
	linked[m] = 1;
	has[2 + m] = (p == 1);
#ifndef LATE_BITS
	d_step { has[4 + m] = (p == 2); has[6 + m] = (p == 3) };
#else
	if :: p == 2 -> has[4 + m] = 1 :: p == 3 -> has[6 + m] = 1 :: else fi;
#endif
#ifdef COUNT_LATE
	d_step { refs[p * 2 + m]++ };
#endif
#ifdef OPEN_LATE
	swap_word();
	open_manager();
#else
	open_manager();
	swap_word();
#endif
#ifdef SAME
	if
	:: won
	:: else ->
#ifndef LOSER_KEEPS
		drop(m);
#endif
		/* the other thread was first: its manager; or there was none for us */
look:		skip;
		d_step { h = cg; won = (ck == SHARED); m = (won -> cv : 0); assert(won || (ck == OWNED && cv == p)) }
	fi
#else
	assert(won)
#endif
}

inline share() {
	d_step {
		if
		:: ck == FREE ->
			/* as soon as the chunk is free, a manager is */
#ifdef SAME
			assert(mk[0] == FREE || mk[1] == FREE);
			lent = (p == 1);
#else
			assert(mk[0] == FREE && mk[1] == FREE);
#endif
			ck = OWNED; cv = p; won = 1
		:: ck != FREE && p == 1 && lent -> n_lent++; won = 1; guest = 1
		:: else -> won = 0
		fi
	};
	if :: !won -> goto next :: won -> won = 0 fi;
	d_step { won = (ck == SHARED); h = cg; m = (won -> cv : 0) };
	if
	:: won -> d_step { assert(refs[p * 2 + m] > 0) }
	:: !won -> share_owned()
	fi;
	d_step {
		if
		:: won -> assert(HOLDS(h, m) && mk[m] == SHARED); handle = h; won = 0
		:: else
		fi
	};
#ifdef SAME
	if
	:: guest -> d_step { guest = 0; n_lent-- }; goto next
	:: !guest && p == 1 -> d_step { n_lent == 0 -> lent = 0; won = (ck == OWNED); m = (won -> 0 : cv) }
	:: !guest && p != 1
	fi;
	if
	:: won -> d_step { assert(ck == OWNED && cv == p && cg == h); cg = cg + 1; ck = FREE; cv = 0; won = 0 }; goto next
	:: else
	fi;
#endif
	assert(HOLDS(h, m));
	assert(HOLDS(h, m));
	let_go(m)
}

inline acquire() {
	h = handle;
	d_step { won = (h != 0 && ck == SHARED && cg == h); m = (won -> cv : 0) };
	if
	:: !won
	:: won ->
#ifndef STAMP_FIRST
		won = 0;
		add(m);
#endif
		do
		:: load_manager(m);
		   if :: s_k != SHARED -> won = 0; break :: else fi;
#ifdef NO_STAMP
		   won = 1; break
#else
		   d_step {
			if
			:: mk[m] == SHARED && mg[m] == s_g && mv[m] == s_v -> mv[m]++; won = 1
			:: else -> won = 0
			fi
		   };
		   if :: won -> break :: else fi
#endif
		od;
#ifdef STAMP_FIRST
		add(m);
#endif
#ifndef NO_RECHECK
		atomic { won = (won && HOLDS(h, m)) };
#endif
		if
		:: won ->
			won = 0;
			assert(HOLDS(h, m));
			assert(HOLDS(h, m));
			let_go(m)
		:: else ->
#ifdef NO_COLLECT
			has[p * 2 + m] = 0
#else
			drop(m)
#endif
		fi
	fi
}

proctype Client(byte id) {
	byte s_g, s_k, s_v, g0, m, h, n, p = PROCESS(id);
	bool won, x, first, guest;
	{
		do
		:: n == ROUNDS -> break
		:: n < ROUNDS ->
			n++;
			if
			:: ck == FREE || (p == 1 && lent) -> share()
			:: acquire()
			fi;
next:			atomic { m = 0; h = 0; won = 0; x = 0; s_g = 0; s_k = 0; s_v = 0 }
		od
	} unless { killed[p] };
	atomic { n_running[p]--; n_clients--; s_g = 0; s_k = 0; s_v = 0; g0 = 0; m = 0; h = 0; n = 0; won = 0; x = 0; first = 0; guest = 0 }
}

inline reap_words() {
	d_step { if :: ck == OWNED && cv == dead -> cg = cg + 1; ck = FREE; cv = 0 :: else fi }
}

inline reap_managers() {
	m = 0;
	do
	:: m == 2 -> break
	:: m < 2 ->
		load_manager(m);
		if
		:: s_k == OWNED && s_v == dead ->
#ifdef REAP_NO_OWNED
			d_step { mg[m] = mg[m] + 1; mk[m] = FREE; mv[m] = 0 }
#else
#ifdef REAP_CHUNK_FIRST
			leave_shared(m, 0, FREE);
			free_manager(m, dead)
#else
			free_both(m, dead)
#endif
#endif
		:: else
		fi;
#ifdef REAP_BITS_ONLY
		d_step { won = has[dead * 2 + m]; has[dead * 2 + m] = 0 };
		if :: won -> won = 0; collect(m, dead) :: else fi;
#else
		has[dead * 2 + m] = 0;
#ifdef REAP_ANONYMOUS
		collect(m, DAEMON);
#else
		collect(m, dead);
#endif
#endif
		m++
	od
}

#define IS_DUE(p) (killed[p] && n_running[p] == 0 && !reaped[p])

/* Every step decided by words alone, so a sweep that was cut short is simply done again. */
proctype Reaper() {
	byte s_g, s_k, s_v, g0, m, dead;
	bool won, x, over;
again:	{
		do
		:: IS_DUE(1) || IS_DUE(2) || IS_DUE(3) ->
			dead = (IS_DUE(1) -> 1 : (IS_DUE(2) -> 2 : 3));
#ifdef REAP_WORDS_FIRST
			reap_words(); reap_managers();
#else
			reap_managers(); reap_words();
#endif
			atomic { reaped[dead] = 1; dead = 0; m = 0 }
		:: atomic { n_clients == 0 && !IS_DUE(1) && !IS_DUE(2) && !IS_DUE(3) -> over = 1; break }
		od
	} unless { d_step { rkill -> rkill = 0 } };
	if :: over :: else -> goto again fi;
	assert(ck == FREE);
	assert(mk[0] == FREE && mk[1] == FREE)
}

proctype Killer() {
	do
	:: kills_left > 0 -> kills_left--;
		if :: killed[1] = 1 :: killed[2] = 1
#if CLIENTS > 2 && !defined(TOGETHER)
		:: killed[3] = 1
#endif
		fi
	:: rkills_left > 0 -> rkills_left--; rkill = 1
	:: break
	od
}

init {
	atomic {
		byte i = 1;
		mg[0] = 1; mg[1] = 1;
		do
		:: i <= CLIENTS -> n_running[PROCESS(i)]++; run Client(i); i++
		:: else -> break
		od;
		run Reaper(); run Killer()
	}
}
