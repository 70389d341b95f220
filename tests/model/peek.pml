/* SPDX-License-Identifier: MIT */
/*
 * peek.pml - a spectator reads messages that nobody holds for it (shm/peek.c), for spin
 *
 * One publishes: it allocates a chunk, overwrites it word by word, shares it, puts it into
 * the ring's only slot, evicts the message that stood there, and frees its chunk, which it
 * then allocates again. The spectator writes nothing. It peeks (tail, slot, link, word, slot),
 * copies, and verifies (word, slot, tail). Sequences, and generations of words, have two bits
 * here, 32 in the code: both come round within a run. The tail does not wrap.
 *
 * Orders. What the publisher stores by swaps (words, slot, tail) goes into a queue, and the
 * spectator sees it when it leaves the queue, in its order: they are seq_cst, or release. What
 * the publisher writes to a chunk, and the link, is relaxed, and seen at once: it overtakes
 * all that is in the queue. That is as early as C11 lets it be seen, but for a release fence,
 * which waits until the queue is empty. (As late as the next release: the same as if the
 * publisher wrote it later.) The spectator's relaxed loads are done in any order that no
 * acquire forbids.
 *
 * Checked: what verify called good is the message of that position, whole. In other words: the
 * slot stood all the time, so the ring kept the message, and its chunk was nobody else's.
 *
 * That needs the slot and the tail alone. The word is for a member or reader that frees what
 * the ring keeps (-DFREES=1): the chunk is overwritten while its slot stands.
 *
 * Each of these must give an assertion violation:
 *   -DVERIFY_FIRST  verify looks before the copy
 *   -DNO_ACQUIRE    there is no acquire fence between them
 *   -DNO_RELEASE    an allocation has no release fence
 *   -DNO_SLOT       the slot is not looked at again
 *   -DNO_WORD       nor the word (with FREES)
 *   -DNO_BOUND      the tail may have moved by any number
 *   -DTAIL_ANY      the slot is not loaded before the tail: a relaxed load
 *   -DTAIL_LATE     the tail that verify compares with is loaded when the peek ends
 */
#define FREE   0
#define OWNED  1
#define SHARED 2
#define NONE   3
#ifndef MESSAGES
#define MESSAGES 5               /* once round, and one */
#endif
#ifndef PEEKS
#define PEEKS 1
#endif
#ifndef FREES
#define FREES 0
#endif
#ifndef DRAINS
#define DRAINS 0
#endif
#ifndef AHEAD
#define AHEAD 0                  /* 1: a chunk may be allocated before the one in hand is published */
#endif
#define CHUNKS (2+AHEAD)
#define MANAGERS 2               /* one more than the ring keeps */
#define WRAP   4                 /* of sequences and of generations */
#define BOUND  (WRAP/2)

/* A word: generation, kind, manager. A slot: sequence, manager. */
#define WORD(g, k, m)  ((g)*16+(k)*4+(m))
#define word_generation(w) ((w)/16)
#define word_kind(w)       (((w)/4)%4)
#define word_manager(w)    ((w)%4)
#define next(w)            ((word_generation(w)+1)%WRAP)
#define SLOT(p, m)     (((p)%WRAP)*4+(m))
#define slot_sequence(s)   ((s)/4)
#define slot_manager(s)    ((s)%4)

/* As the spectator sees it. */
byte word[CHUNKS], tail;
byte slot = SLOT(WRAP-1, NONE);   /* as if a round before the first had been evicted */
byte link[MANAGERS];
byte low[CHUNKS], high[CHUNKS];  /* the content of a chunk: the number of its message, twice */

/* Stores on their way, to a word or: */
#define TO_SLOT CHUNKS
#define TO_TAIL (CHUNKS+1)
chan stores = [8] of { byte, byte };

active proctype Memory() {
	byte to, what;
end:	do
	:: atomic {
	      stores?to,what;
	      if
	      :: to==TO_SLOT -> slot = what
	      :: to==TO_TAIL -> tail = what
	      :: else -> word[to] = what
	      fi;
	      to = 0; what = 0
	   }
	od
}

inline alloc(i, number) {
	atomic {
	   if
	   :: word_kind(now[0])==FREE -> i = 0
	   :: word_kind(now[1])==FREE -> i = 1
#if AHEAD
	   :: word_kind(now[2])==FREE -> i = 2
#endif
	   fi;
	   now[i] = WORD(word_generation(now[i]), OWNED, 0)
	};
	stores!i,now[i];
#ifndef NO_RELEASE
	empty(stores);
#endif
	/* Its holder writes it. */
	if
	:: low[i] = number; high[i] = number
	:: high[i] = number; low[i] = number
	fi
}

active proctype Publisher() {
	byte n, c, m, old, frees_left = FREES, drains_left = DRAINS;
	byte now[CHUNKS];        /* the words, as the publisher itself has written them */
	bool busy[MANAGERS];
	byte kept = NONE;        /* the manager in the slot */
	byte ahead = NONE;       /* a chunk that is written already */

	do
	:: n==MESSAGES -> break
	:: frees_left>0 && kept!=NONE && word_kind(now[link[kept]])==SHARED ->
	   /* Somebody frees it, who must not. */
	   atomic { frees_left--; c = link[kept]; now[c] = WORD(next(now[c]), FREE, 0) };
	   stores!c,now[c];
	   c = 0
	:: drains_left>0 && kept!=NONE ->
	   atomic { drains_left--; old = kept; kept = NONE };
	   stores!TO_SLOT,SLOT(n+WRAP-1, NONE);
	   goto collect
	:: n<MESSAGES ->
	   if :: ahead==NONE -> alloc(c, n) :: else -> c = ahead; ahead = NONE fi;
#if AHEAD
	   if :: n+1<MESSAGES -> alloc(ahead, n+1) :: skip fi;
#endif
	   /* Share, and publish. */
	   atomic { if :: !busy[0] -> m = 0 :: !busy[1] -> m = 1 fi; busy[m] = 1 };
	   link[m] = c;
	   atomic { now[c] = WORD(word_generation(now[c]), SHARED, m); old = kept; kept = m };
	   stores!c,now[c];
	   stores!TO_SLOT,SLOT(n, m);
	   stores!TO_TAIL,n+1;
	   n++;
collect:
	   /* Of what was evicted: chunk and manager. */
	   if
	   :: old==NONE -> skip
	   :: else ->
	      c = link[old];
	      if
	      :: now[c]==WORD(word_generation(now[c]), SHARED, old) ->
	         now[c] = WORD(next(now[c]), OWNED, 0);
	         stores!c,now[c];
	         now[c] = WORD(next(now[c]), FREE, 0);
	         stores!c,now[c]
	      :: else -> skip
	      fi;
	      busy[old] = 0
	   fi;
	   atomic { c = 0; m = 0; old = 0 }
	od
}

active proctype Spectator() {
	byte n, position, before, seen, chunk, claimed, again;
	byte a, b;               /* what was copied */
	byte w, s, t;            /* what verify loads */
	bool has_a, has_b, has_w, has_s, has_t;

	do
	:: n==PEEKS -> break
	:: n<PEEKS -> n++;
	   /* Peek: the message before the tail, or one that the tail does not tell of yet. */
	   before = tail;
	   if
	   :: before>0 -> position = before-1
	   :: position = before
	   fi;
	   seen = slot;
	   if :: slot_sequence(seen)!=position%WRAP || slot_manager(seen)==NONE -> goto none :: else -> skip fi;
	   chunk = link[slot_manager(seen)];
	   claimed = word[chunk];
	   if :: word_kind(claimed)!=SHARED || word_manager(claimed)!=slot_manager(seen) -> goto none :: else -> skip fi;
#ifndef NO_SLOT
	   again = slot;
	   if :: again!=seen -> goto none :: else -> skip fi;
#endif
#ifdef TAIL_LATE
	   before = tail;
#endif
	   /* Copy and verify: in an order that the fences allow. */
#ifdef NO_ACQUIRE
#define MAY_VERIFY 1
#define MAY_COPY   1
#elif defined(VERIFY_FIRST)
#define MAY_VERIFY 1
#define MAY_COPY   (has_w && has_s && has_t)
#else
#define MAY_VERIFY (has_a && has_b)
#define MAY_COPY   1
#endif
#ifdef TAIL_ANY
#define MAY_TAIL   1
#else
#define MAY_TAIL   has_s
#endif
	   do
	   :: !has_a && MAY_COPY -> a = low[chunk]; has_a = 1
	   :: !has_b && MAY_COPY -> b = high[chunk]; has_b = 1
	   :: !has_w && MAY_VERIFY -> w = word[chunk]; has_w = 1
	   :: !has_s && MAY_VERIFY -> s = slot; has_s = 1
	   :: !has_t && MAY_VERIFY && MAY_TAIL -> t = tail; has_t = 1
	   :: has_a && has_b && has_w && has_s && has_t -> break
	   od;
	   if
#ifndef NO_WORD
	   :: w!=claimed -> skip
#endif
#ifndef NO_SLOT
	   :: s!=seen -> skip
#endif
#ifndef NO_BOUND
	   :: t-before>=BOUND -> skip
#endif
	   :: else -> assert(a==position && b==position)
	   fi;
none:
	   atomic {
	      position = 0; before = 0; seen = 0; chunk = 0; claimed = 0; again = 0; a = 0; b = 0; w = 0; s = 0; t = 0;
	      has_a = 0; has_b = 0; has_w = 0; has_s = 0; has_t = 0
	   }
	od
}

