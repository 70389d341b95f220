/* SPDX-License-Identifier: MIT */
/*
 * move.pml - messages move from the queue of a retired generation to the queue of the next one
 *	      (shm/move.c) for spin.
 *
 * Nobody lives in the old generation; MESSAGES wait in its queue. In the new one a client
 * receives meanwhile, frees what it got, and with OTHER sends a message of its own into the
 * same chunks. The daemon moves one message at a time, with a journal that outlives it; it is
 * killed between any two steps (KILLS times, in a recovery as well) and started again. Then it
 * looks at the journal, reaps its own id in the new generation, and goes on. With CKILLS the
 * client is killed, too: after it took a message, its slot may still name that.
 *
 * With ONE_RECEIVER the client has the receiver's role of the new queue (queues.md): it takes words, empties slots and
 * moves the head by stores, one after the other, and nobody else does, but the daemon for a dead one.
 *
 * queue.pml has the ring itself: here a push and each step of a receive is one step. A chunk's
 * word is generation, kind and holder; the sender of what is SENT is the holder.
 *
 * Checked: each message is received at most once, and in order; when everything stands still,
 * each was received, stands in the new queue, or waits in the old one, exactly once; no chunk
 * is left behind; and the journal is clear.
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion violation:
 *   -DNO_JOURNAL     a new daemon does not look at the journal
 *   -DJOURNAL_LAST   the message is published before the journal names it
 *   -DOLD_FIRST      the journal is in force before it names the new chunk
 *   -DDROP_FIRST     the old message is dropped before the new one is published
 *   -DCLEAR_FIRST    the journal is cleared before the old message is dropped
 *   -DFREE_FIRST     a full queue: the chunk is freed before the journal is cleared
 *   -DREAP_FIRST     a new daemon reaps its own id before it looks at the journal
 *   -DWORD_FIRST     and looks at the word before it looks into the ring
 *   -DRING_ONLY      and believes the ring alone
 *   -DWORD_ONLY      and believes the word alone
 *   -DANY_SENT       and takes any word that says SENT for its own
 *   -DSLOT_FIRST     with ONE_RECEIVER: the slot is emptied before the word is taken
 *   -DUNDO_FREES     and frees the chunk of an undone move before it clears the journal
 */
#define FREE   0
#define OWNED  1
#define SENT   2
#define NONE   255
#define NOBODY 0
#define DAEMON 1
#define CLIENT 2
#ifndef MESSAGES
#define MESSAGES 2
#endif
#ifndef CHUNKS
#define CHUNKS 2
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CKILLS
#define CKILLS 0
#endif
#ifndef OTHER
#define OTHER 0                  /* messages that the client sends itself */
#endif

/* The old generation: whether message 1.. waits in its queue. */
bool old[MESSAGES+1];

/* The new one: words, contents, the ring. */
byte generation[CHUNKS], kind[CHUNKS], value[CHUNKS], content[CHUNKS];
byte slot_chunk[CAP], slot_generation[CAP], head, tail;

/* The journal: old 0: it is clear. */
byte journal_old, journal_chunk, journal_generation;

bool kill_daemon, kill_client;
byte kills_left = KILLS, ckills_left = CKILLS;
bool client_is_over, client_is_dead, client_is_reaped, daemon_is_over;

/* ghosts */
byte received[MESSAGES+1], last;

#define is_stale(i) (kind[slot_chunk[i]]!=SENT || generation[slot_chunk[i]]!=slot_generation[i])
#define is_exactly(c, g, who) (kind[c]==SENT && value[c]==(who) && generation[c]==(g))
#define slot_has(i, c, g) (slot_chunk[i]==(c) && slot_generation[i]==(g))

inline set_free(c) {
	generation[c] = generation[c]+1; kind[c] = FREE; value[c] = NOBODY; content[c] = 0
}

/* One step: queue.pml. What was received and not emptied yet makes room. ok: sent. */
inline push(c, g) {
	atomic {
#ifndef ONE_RECEIVER
		do
		:: head<tail && slot_chunk[head%CAP]==NONE -> head++
		:: head<tail && slot_chunk[head%CAP]!=NONE && is_stale(head%CAP) ->
		   slot_chunk[head%CAP] = NONE; head++
		:: else -> break
		od;
#endif
		ok = (tail-head<CAP);
		if
		:: ok -> slot_chunk[tail%CAP] = c; slot_generation[tail%CAP] = g; tail++
		:: else -> skip
		fi
	}
}

/* The first free chunk, for who: c, or NONE. */
inline claim(who) {
	atomic {
		c = 0;
		do
		:: c==CHUNKS -> c = NONE; break
		:: c<CHUNKS && kind[c]==FREE -> kind[c] = OWNED; value[c] = who; break
		:: c<CHUNKS && kind[c]!=FREE -> c++
		od
	}
}

#ifdef ONE_RECEIVER
#define has_room (tail-head<CAP)
#else
#define has_room (tail-head<CAP || slot_chunk[head%CAP]==NONE || is_stale(head%CAP))
#endif

/* ---- the daemon ---- */

inline write_journal() {
#ifdef OLD_FIRST
	journal_old = m;
	atomic { journal_chunk = c; journal_generation = g }
#else
	atomic { journal_chunk = c; journal_generation = g };
	journal_old = m
#endif
}

/* One message: m. */
inline move() {
	claim(DAEMON);
	if
	:: c==NONE -> is_full = 1
	:: else ->
	   content[c] = m;
	   atomic { generation[c] = generation[c]+1; kind[c] = SENT; g = generation[c] };
#ifdef DROP_FIRST
	   old[m] = 0;
#endif
#ifndef JOURNAL_LAST
	   write_journal();
#endif
	   push(c, g);
#ifdef JOURNAL_LAST
	   if :: ok -> write_journal() :: else -> skip fi;
#endif
	   if
	   :: ok ->
#ifdef CLEAR_FIRST
	      journal_old = 0;
	      old[m] = 0
#else
	      old[m] = 0;
	      journal_old = 0
#endif
	   :: else ->
#ifdef FREE_FIRST
	      atomic { if :: is_exactly(c, g, DAEMON) -> set_free(c) :: else -> skip fi };
	      journal_old = 0;
#else
	      journal_old = 0;
	      atomic { if :: is_exactly(c, g, DAEMON) -> set_free(c) :: else -> skip fi };
#endif
	      is_full = 1
	   fi
	fi;
	atomic { c = 0; g = 0; ok = 0 }
}

inline look_into_ring(c, g) {
	atomic { ok = 0; i = 0 };
	do
	:: i==CAP -> break
	:: i<CAP -> atomic { ok = (ok || slot_has(i, c, g)); i++ }
	od;
	i = 0
}

#ifdef ANY_SENT
#define is_ours(c, g) (kind[c]==SENT)
#else
#define is_ours(c, g) is_exactly(c, g, DAEMON)
#endif

/* ok: it was published. */
inline judge() {
	atomic { c = journal_chunk; g = journal_generation };
#ifdef WORD_ONLY
	atomic { ok = !is_ours(c, g) };
#elif defined(RING_ONLY)
	look_into_ring(c, g);
#elif defined(WORD_FIRST)
	atomic { ours = is_ours(c, g) };
	look_into_ring(c, g);
	atomic { ok = (ok || !ours); ours = 0 };
#else
	look_into_ring(c, g);
	if
	:: ok -> skip
	:: else -> atomic { ok = !is_ours(c, g) }
	fi;
#endif
}

inline recover() {
	if
	:: journal_old==0 -> skip
	:: else ->
	   judge();
	   if
	   :: ok -> old[journal_old] = 0
#ifdef UNDO_FREES
	   :: else -> atomic { if :: is_exactly(c, g, DAEMON) -> set_free(c) :: else -> skip fi }
#else
	   :: else -> skip
#endif
	   fi;
	   journal_old = 0;
	   atomic { c = 0; g = 0; ok = 0 }
	fi
}

/* reap.c, for one holder: what stood in the ring when it was first asked for stays sent. */
inline reap(who) {
	c = 0;
	do
	:: c==CHUNKS -> break
	:: c<CHUNKS ->
	   atomic { g = generation[c]; i = kind[c]; ours = (value[c]==who && i!=FREE) };
	   if
	   :: ours && i==OWNED ->
	      atomic {
	         if :: kind[c]==OWNED && value[c]==who && generation[c]==g -> set_free(c)
	         :: else -> skip fi
	      }
	   :: ours && i==SENT ->
	      look_into_ring(c, g);
	      atomic {
	         if
	         :: is_exactly(c, g, who) && ok -> value[c] = NOBODY
	         :: is_exactly(c, g, who) && !ok -> set_free(c)
	         :: else -> skip
	         fi
	      }
	   :: else -> skip
	   fi;
	   atomic { c++; i = 0; g = 0; ours = 0; ok = 0 }
	od;
	c = 0
}

#ifdef ONE_RECEIVER
/* What a dead receiver has left at the head. */
inline tidy() {
	if
	:: head<tail && slot_chunk[head%CAP]!=NONE && is_stale(head%CAP) -> slot_chunk[head%CAP] = NONE
	:: else -> skip
	fi;
	if
	:: head<tail && slot_chunk[head%CAP]==NONE -> head++
	:: else -> skip
	fi
}
#else
#define tidy() skip
#endif

proctype Daemon() {
	byte m, c, g, i;
	bool ok, ours, is_full;
begin:
	{
#ifdef REAP_FIRST
	reap(DAEMON);
#endif
#ifndef NO_JOURNAL
	recover();
#else
	journal_old = 0;
#endif
#ifndef REAP_FIRST
	reap(DAEMON);
#endif
	do
	:: atomic { client_is_dead && !client_is_reaped } -> reap(CLIENT); tidy(); client_is_reaped = 1
	:: else ->
	   atomic { m = 1; do :: m<=MESSAGES && !old[m] -> m++ :: else -> break od };
	   if
	   :: m>MESSAGES -> break
	   /* No place: tried again when there may be one, until nobody will make one. */
	   :: m<=MESSAGES ->
	      move();
	      if
	      :: atomic { !is_full || has_room || (client_is_dead && !client_is_reaped) ->
	            is_full = 0 }
	      :: atomic { is_full && client_is_over && !has_room -> break }
	      fi
	   fi
	od;
	/* Whoever died at the very end. */
	client_is_over;
	if :: client_is_dead && !client_is_reaped -> reap(CLIENT); tidy(); client_is_reaped = 1 :: else -> skip fi;
	daemon_is_over = 1
	} unless { kill_daemon && !daemon_is_over };
	if
	:: atomic { kill_daemon && !daemon_is_over ->
	      kill_daemon = 0; m = 0; c = 0; g = 0; i = 0; ok = 0; ours = 0; is_full = 0 };
	   goto begin
	:: else -> skip
	fi;
	/* Everything stands still. */
	atomic {
		assert(journal_old==0);
		m = 1;
		do
		:: m>MESSAGES -> break
		:: m<=MESSAGES ->
		   g = received[m]+old[m];
		   c = 0;
		   do
		   :: c==CHUNKS -> break
		   :: c<CHUNKS -> g = g+(content[c]==m && kind[c]==SENT); c++
		   od;
		   assert(g==1);
		   m++
		od;
		c = 0;
		do
		:: c==CHUNKS -> break
		:: c<CHUNKS ->
		   ok = 0; i = 0;
		   do :: i==CAP -> break
		      :: i<CAP -> ok = (ok || slot_has(i, c, generation[c])); i++ od;
		   assert(kind[c]==FREE || (kind[c]==SENT && ok));
		   c++
		od
	}
}

/* ---- a client of the new generation ---- */

#ifdef ONE_RECEIVER
inline take_word() {
	atomic {
		assert(kind[c]==SENT && generation[c]==g);
		/* ghosts: the moment of the receipt */
		i = content[c];
		if
		:: i!=0 -> received[i]++; assert(received[i]==1 && i>last); last = i
		:: else -> skip
		fi;
		i = 0;
		generation[c] = g+1; kind[c] = OWNED; value[c] = CLIENT; content[c] = 0
	}
}

inline empty_slot() { atomic { assert(slot_has(head%CAP, c, g)); slot_chunk[head%CAP] = NONE } }

inline receive() {
	atomic { c = slot_chunk[head%CAP]; g = slot_generation[head%CAP]; ok = (head<tail && c!=NONE) };
	if
	:: !ok -> skip
	:: else ->
#ifdef SLOT_FIRST
	   empty_slot();
	   take_word();
#else
	   take_word();
	   empty_slot();
#endif
	   head++;
	   atomic { set_free(c) }
	fi;
	atomic { c = 0; g = 0; ok = 0 }
}
#else
inline receive() {
	atomic { c = slot_chunk[head%CAP]; g = slot_generation[head%CAP]; ok = (head<tail && c!=NONE) };
	if
	:: !ok -> skip
	:: else ->
	   atomic {
	      ok = (kind[c]==SENT && generation[c]==g);
	      if
	      :: ok ->
	         /* ghosts: the moment of the receipt */
	         i = content[c];
	         if
	         :: i!=0 -> received[i]++; assert(received[i]==1 && i>last); last = i
	         :: else -> skip
	         fi;
	         i = 0;
	         generation[c] = g+1; kind[c] = OWNED; value[c] = CLIENT; content[c] = 0
	      :: else -> skip
	      fi
	   };
	   atomic { if :: head<tail && slot_has(head%CAP, c, g) -> slot_chunk[head%CAP] = NONE; head++
	      :: else -> skip fi };
	   if :: ok -> atomic { set_free(c) } :: else -> skip fi
	fi;
	atomic { c = 0; g = 0; ok = 0 }
}
#endif

/* One of its own: what the daemon's chunk was may be anybody's. */
inline send() {
	claim(CLIENT);
	if
	:: c==NONE -> skip
	:: else ->
	   atomic { generation[c] = generation[c]+1; kind[c] = SENT; g = generation[c] };
	   push(c, g);
	   if :: !ok -> atomic { set_free(c) } :: else -> skip fi
	fi;
	atomic { c = 0; g = 0; ok = 0 }
}

proctype Client() {
	byte n, s, c, g, i;
	bool ok;
	{
	do
	:: n==MESSAGES+OTHER -> break
	:: n<MESSAGES+OTHER -> n++; receive()
	:: s<OTHER -> s++; send()
	od
	} unless { kill_client };
	atomic {
		if :: kill_client -> client_is_dead = 1 :: else -> skip fi;
		client_is_over = 1
	}
}

proctype Killer() {
	do
	:: kills_left>0 && !kill_daemon -> atomic { kills_left--; kill_daemon = 1 }
	:: ckills_left>0 -> atomic { ckills_left--; kill_client = 1 }
	:: break
	od
}

init { atomic {
	byte j = 1;
	do :: j>MESSAGES -> break :: j<=MESSAGES -> old[j] = 1; j++ od;
	j = 0;
	do :: j==CHUNKS -> break :: j<CHUNKS -> generation[j] = 1; j++ od;
	j = 0;
	do :: j==CAP -> break :: j<CAP -> slot_chunk[j] = NONE; j++ od;
	j = 0;
	run Daemon(); run Client(); run Killer()
} }
