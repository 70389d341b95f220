/* SPDX-License-Identifier: MIT */
/*
 * lane_common.pml - what lane.pml and lane_dry.pml share: words with a bias, lanes, store buffers, and
 *		     the steps by which a lane is revoked
 *
 * word:   FREE(lane, epoch), g: lane 0 for everybody, by swap; else the thread that has the lane
 *	   may take it by plain stores while the lane is in that epoch
 *	   OWNED(lane, holder), g: the lane of the thread that claimed it, 0: it has none
 * lane:   epoch and settled, counted up for ever; a word has only the low bits of the epoch, and
 *	   low bits 0 are no epoch: the lane is retired. intent: chunk and generation; owner: a holder
 *
 * Stores of a thread wait in its store buffer. They leave it in order, except that a relaxed one
 * may overtake others to other places; a swap that only acquires empties it as far as its own
 * word, a release and a membarrier empty it.
 */
#ifndef N
#define N 1			/* chunks, 2 at most */
#endif
#ifndef THREADS
#define THREADS 2
#endif
#ifndef LANES
#define LANES 1
#endif
#ifndef TAKES
#define TAKES 0			/* threads without a lane take one that is free */
#endif
#ifndef FREES_WAIT
#define FREES_WAIT 0		/* so do the frees of who has no lane */
#endif
#ifndef SB
#define SB 3			/* stores that wait */
#endif
#ifndef LIFE
#define LIFE 8			/* epochs of a lane until it is swept, and one: a power of two */
#endif

#define FREE(l, e, g)  ((g)*128 + (l)*16 + (e))
#define OWNED(l, h, g) ((g)*128 + 64 + (l)*16 + (h))
#define is_free(w)  (!((w)&64))
#define gen(w)      ((w)/128)
#define lane_of(w)  (((w)/16)&3)
#define value(w)    ((w)&15)	/* epoch, or holder */
#define unbiased(w) (gen(w)*128)
#define INTENT(c, g) ((g)*4 + (c))

#define RETIRES (LIFE < 8)	/* before a search ends */

#ifdef WRAP
#define low(n)      (1 + ((n)-1)%(LIFE-1))	/* no lane is ever retired */
#define whole(n, e)  ((n) - (low(n) + LIFE-1 - (e))%(LIFE-1))
#else
#define low(n)      ((n)&(LIFE-1))
#define whole(n, e)  ((n) - (((n)-(e))&(LIFE-1)))
#endif

short word[N];
byte epoch[LANES+1], settled[LANES+1], owner[LANES+1];
short intent[LANES+1];

/* The stores that wait: where (0: the lane's intent, c+1: the word of c), and what. */
byte sb_n[THREADS+1], sb_at[(THREADS+1)*SB];
short sb_v[(THREADS+1)*SB];
byte sb_lane[THREADS+1];	/* whose intent it is */

byte own[N];			/* ghost: the thread that was told that it is its own */

/* Two threads of one client: the second has the holder id of the first. */
#ifdef SAME
#define holder_of(id) ((id)==2 -> 1 : (id))
#else
#define holder_of(id) (id)
#endif

#define AT(id, j) ((id)*SB+(j))

/* Inside atomic steps: the oldest store arrives; all of them; those up to the word of c. */
inline apply(id) {
	if
	:: sb_at[AT(id,0)]==0 -> intent[sb_lane[id]] = sb_v[AT(id,0)]
	:: else -> word[sb_at[AT(id,0)]-1] = sb_v[AT(id,0)]
	fi;
	sb_at[AT(id,0)]=sb_at[AT(id,1)]; sb_v[AT(id,0)]=sb_v[AT(id,1)];
#if SB > 2
	sb_at[AT(id,1)]=sb_at[AT(id,2)]; sb_v[AT(id,1)]=sb_v[AT(id,2)];
#endif
#if SB > 3
	sb_at[AT(id,2)]=sb_at[AT(id,3)]; sb_v[AT(id,2)]=sb_v[AT(id,3)];
#endif
	sb_at[AT(id,SB-1)]=0; sb_v[AT(id,SB-1)]=0;
	sb_n[id]--
}
inline drain(id) { do :: sb_n[id]>0 -> apply(id) :: else -> break od }
#define waits_at(id, j, c) (sb_n[id]>(j) && sb_at[AT(id,j)]==(c)+1)
#if SB > 3
#define waits(id, c) (waits_at(id,0,c) || waits_at(id,1,c) || waits_at(id,2,c) || waits_at(id,3,c))
#elif SB > 2
#define waits(id, c) (waits_at(id,0,c) || waits_at(id,1,c) || waits_at(id,2,c))
#else
#define waits(id, c) (waits_at(id,0,c) || waits_at(id,1,c))
#endif
inline drain_word(id, c) { do :: waits(id, c) -> apply(id) :: else -> break od }

inline put(id, at, v) { sb_at[AT(id,sb_n[id])]=at; sb_v[AT(id,sb_n[id])]=v; sb_n[id]++ }

/* What the thread itself sees: its own youngest store first. */
inline see(id, c, w) {
	if
#if SB > 3
	:: waits_at(id,3,c) -> w=sb_v[AT(id,3)]
	:: else -> if
#endif
#if SB > 2
	:: waits_at(id,2,c) -> w=sb_v[AT(id,2)]
	:: else -> if
#endif
	:: waits_at(id,1,c) -> w=sb_v[AT(id,1)]
	:: else -> if
	:: waits_at(id,0,c) -> w=sb_v[AT(id,0)]
	:: else -> w=word[c]
	fi fi
#if SB > 2
	fi
#endif
#if SB > 3
	fi
#endif
}

/* Of two stores to different places, the later one first: if it is relaxed. */
#ifdef INTENT_RELAXED
#define relaxed(id, j) (sb_at[AT(id,j)]==0 || !is_free(sb_v[AT(id,j)]))
#else
#define relaxed(id, j) (sb_at[AT(id,j)]!=0 && !is_free(sb_v[AT(id,j)]))
#endif
#define may_pass(id, j) (sb_n[id]>(j) && sb_at[AT(id,j)]!=sb_at[AT(id,(j)-1)] && relaxed(id,j))
inline pass(id, j) {
	t=sb_at[AT(id,j)]; sb_at[AT(id,j)]=sb_at[AT(id,(j)-1)]; sb_at[AT(id,(j)-1)]=t;
	v=sb_v[AT(id,j)]; sb_v[AT(id,j)]=sb_v[AT(id,(j)-1)]; sb_v[AT(id,(j)-1)]=v;
	t=0; v=0
}

/* The machine of one thread: stores arrive some time. */
proctype Memory(byte id) {
	byte t;
	short v;
end:	do
	:: atomic { sb_n[id]>0 -> apply(id) }
	:: atomic { may_pass(id,1) -> pass(id,1) }
#if SB > 2
	:: atomic { may_pass(id,2) -> pass(id,2) }
#endif
#if SB > 3
	:: atomic { may_pass(id,3) -> pass(id,3) }
#endif
	od
}

/* A thread was told that the chunk is its own. */
inline told(id, c) { assert(own[c]==0); own[c]=id }

/* In each thread that is registered, at one moment of the call or another. */
inline membarrier() {
#ifndef NO_MEMBARRIER
	atomic { drain(1) };
#if THREADS > 1 && (LANES > 1 || TAKES || FREES_WAIT)
	atomic { drain(2) };
#endif
#if THREADS > 2 && (LANES > 2 || TAKES || FREES_WAIT)
	atomic { drain(3) };
#endif
#endif
	skip
}

#ifndef HELPED
#define HELPED(c) skip
#endif

/*
 * settle(): after a membarrier behind the moving of the epoch: what is under way in lane l is
 * finished for its thread; then all epochs up to n are settled. Uses i, o, y.
 */
inline settle(l, n) {
	o = owner[l];
	i = intent[l];
	if
#ifndef NO_RECHECK
	/* Settled by another: the lane may be another's by now, and its intent with it. */
	:: settled[l]>=n -> skip
	:: settled[l]<n ->
#else
	:: true ->
#endif
#ifndef NO_HELP
		if
		:: i!=0 ->
			y = word[i&3];
			if
#ifdef HELP_ANY_GEN
			:: is_free(y) ->
#else
			:: is_free(y) && gen(y)==i/4 ->
#endif
				atomic {
					if
					/* Whose intent it is has the lane until then. */
					:: word[i&3]==y -> assert(owner[l]==o); word[i&3]=OWNED(l,o,gen(y)); HELPED(i&3)
					:: else
					fi
				}
			:: else
			fi
		:: else
		fi;
#endif
#ifdef SETTLE_STORE
		settled[l] = n
#else
		atomic { if :: settled[l]<n -> settled[l]=n :: else fi }
#endif
	fi;
	atomic { i=0; o=0; y=0 }
}

/* move(): epoch f of lane l is to end. n: it has, and all before it. */
inline move_epoch(l, f, n) {
	n = epoch[l];
	if
	:: n==f -> atomic { if :: epoch[l]==n -> epoch[l]=n+1 :: else fi }
	:: else -> n = n-1
	fi
}

/* As a scan: whatever epoch lane l is in. n: it is over. */
inline move_any_epoch(l, n) {
	n = epoch[l];
	if
	:: low(n)!=0 -> atomic { if :: epoch[l]==n -> epoch[l]=n+1 :: else fi }
	:: else -> n = n-1
	fi
}
