/* SPDX-License-Identifier: MIT */
/*
 * pool.pml - claim, free, caches, the dry word and the reaper (shm/pool.c, shm/reap.c,
 * client/cache.c) for spin.
 *
 * A pool of N chunks, each with its word: who holds it (0: FREE) and its generation. Each
 * client has a private cache of hints; the list of hints that all share is one set here
 * (free_list.pml has it in two levels). Any client may be killed between any two accesses
 * to shared memory (Killer); it loses its cache, and with REBORN another client gets its id
 * once the sweep is over. The reaper may be killed as well (RKILLS) and starts again.
 *
 * Each step has one access to shared memory. The store that frees is a plain one (R1), so
 * it waits in its process's store buffer: later loads may overtake it (D1), whatever
 * happens at the end of the call. It becomes visible at any time, but not later than the
 * process's next read-modify-write (they release), or a membarrier of another process.
 * The scarce bit, which stands in the dry word and steers only hints, is set and cleared
 * FLIPS times, whenever it likes.
 * NOBARRIER names a client that has no membarrier: its stores do not wait, its
 * own barrier reaches nobody.
 *
 * A free is under way from its store to its last step (cache_keep()). Until then the chunk
 * counts as held, as does one that is handed over. The reaper's free is under way until it
 * has moved the dry word for the leaf; a leaf has one word here. For a client without a
 * membarrier, a free whose store had not arrived when it set the dry bit is under way for
 * the whole call.
 *
 * Checked:
 *   no chunk has two owners;
 *   an allocation that fails after its scan: at some moment of the call all were held;
 *   one that fails at once, by the dry word that it remembers: no chunk is free whose free
 *   is not under way (a freer that is stopped between its store and the dry word is the
 *   exception that the scan of every 64th call bounds);
 *   a call reads the words twice at the most, and once more for each time that another
 *   moved the dry word meanwhile, whatever is handed over (-DGIVE=1);
 *   when everything stands still and the dead are reaped: each word is FREE or names a
 *   living holder that has it, each FREE chunk has its hint in the list, and nobody
 *   remembers a dry word that would make it fail in spite of a FREE chunk;
 *   nobody waits for one that stands still (cc -DNP, without fairness).
 *
 * tests/model/run builds and runs all of this. A model that cannot fail proves nothing:
 * each of these must give an assertion violation, SPIN a non-progress cycle:
 *   -DHINT_TRUTH       a hint is taken for the truth: claimed by a store
 *   -DCLAIM_UNSEEN     the claim looks, then stores
 *   -DNO_OWNER_CHECK   free does not look whether the chunk is the caller's (-DWILD)
 *   -DSUMS             read until two scans agree on the generations (-DGIVE=1)
 *   -DTRUST_SCAN       what a scan found counts, whether the dry word was moved or not
 *   -DFLAG_ALONE       or if the dry bit is set, whatever the sequence says (-DCLIENTS=3)
 *   -DSCAN_FIRST       the scan comes before the dry bit
 *   -DLATE_SEQUENCE    the dry word to remember is read after the scan
 *   -DNO_FLAG          the scan sets no dry bit
 *   -DNO_MEMBARRIER    nor waits for those whose stores have not arrived
 *   -DREMEMBER_ANYWAY  the barrier failed, but the scan is remembered (-DNOBARRIER=1)
 *   -DUNREGISTERED     who has no membarrier frees by a plain store (-DNOBARRIER=1)
 *   -DLOOK_FIRST       the freer looks at the dry word before its store
 *   -DFREE_NO_MOVE     a freer that sees the bit pushes, but does not move the dry word
 *   -DCLEAR_ONLY       the dry bit is cleared, the sequence stays
 *   -DBLIND_MOVE       the dry word is moved by a store
 *   -DONE_TRY          nor is it tried again when the swap fails (-DFLIPS=2)
 *   -DHINT_FIRST       the freer pushes its hint before its store
 *   -DPUSH_RELAXED     the push may overtake the store (leaf bit without release)
 *   -DREAP_NO_BITS     the reaper sets no hints
 *   -DREAP_BITS_FIRST  the reaper sets the hints, then frees
 *   -DREAP_NO_MOVE     the reaper does not move the dry word
 *   -DREAP_MOVE_FIRST  the reaper moves the dry word, then sweeps
 *   -DREAP_MOVE_LAST   the reaper moves the dry word when all is swept
 *   -DREAP_LOOK_FIRST  the reaper's look at the dry word overtakes its sweep
 *   -DREAP_STORE       the reaper frees by a store what it saw some time ago
 *   -DREAP_ALL         the reaper does not ask whose the word is
 *   -DREAP_EARLY_END   the id is given away before the sweep is over (-DREBORN)
 *   -DSPIN             a claim waits for the chunk of its hint
 *
 * Not mutants, since nothing is wrong without them, only slower:
 *   who finds a chunk moves the dry word (the bit stays set, so frees go on moving it);
 *   a freer that sees the bit pushes its hint to the list instead of its cache (who
 *   remembered looks again, and its scan finds the chunk); the hints of free chunks that a
 *   scan passes; a full cache that pushes to the list.
 */
#define FREE 0
#define SENT 8                   /* SENT+i: given away by i, and not yet taken */
#ifndef N
#define N 2
#endif
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef OPS
#define OPS 3                    /* calls, per client */
#endif
#ifndef OPS1
#define OPS1 OPS                 /* of client 1, 2, 3 */
#endif
#ifndef OPS2
#define OPS2 OPS
#endif
#ifndef OPS3
#define OPS3 OPS
#endif
#define OPS_OF(i) (i==1 -> OPS1 : (i==2 -> OPS2 : OPS3))
#ifndef START
#define START 3                  /* 1: a new pool, 2: all in use, 3: either; 4: 2 has freed its chunk */
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef RKILLS
#define RKILLS 0
#endif
#ifndef FLIPS
#define FLIPS 0                  /* of the scarce bit */
#endif
#ifndef REBORN
#define REBORN 0
#endif
#ifndef NOBARRIER
#define NOBARRIER 0
#endif
#ifndef GIVE
#define GIVE 0                   /* clients also give and take */
#endif
#ifndef MODEST
#define MODEST 0                 /* 1: who has a chunk does not allocate another */
#endif
#ifndef STRONG
#define STRONG 0                 /* 1: no store waits */
#endif
#ifndef WILD
#define WILD 0                   /* clients free chunks that are not theirs */
#endif
#define REAPER (CLIENTS+1)
#define NONE   255

byte wk[N], wg[N];               /* the words: kind and value in one, generation */
byte dry=4;                      /* bit 0: somebody found nothing; 1: scarce; above: sequence */
byte list;                       /* hints for all, one bit each */
byte cache[CLIENTS+1];           /* hints, private */
byte rem[CLIENTS+1];             /* the dry word remembered, private; 0: none */
byte buf[CLIENTS+1];             /* chunk + 1 whose free waits in the store buffer */
byte hc=NONE, hg;                /* the last handle that was given: chunk, generation */

bool kill[CLIENTS+1], dead[CLIENTS+1], reaped[CLIENTS+1], rkill;
byte running = CLIENTS, kills_left = KILLS, rkills_left = RKILLS, flips_left = FLIPS;

/* ghosts */
byte own[N];                     /* who uses the chunk */
byte who[N];                     /* who has freed it */
bool fin[N];                     /* it is free, and no free of it is under way */
bool late[N];                    /* the store had not arrived, see NOBARRIER */
bool saw_all[CLIENTS+1];         /* all were held at some moment of my call */
byte moves;                      /* of the dry word */

#define held(i, x)  (!fin[x] || (i==NOBARRIER && late[x]))
#if N == 2
#define all_held(i) (held(i, 0) && held(i, 1))
#define some_done   (fin[0] || fin[1])
#define some_free   (wk[0]==FREE || wk[1]==FREE)
#else
#define all_held(i) (held(i, 0) && held(i, 1) && held(i, 2))
#define some_done   (fin[0] || fin[1] || fin[2])
#define some_free   (wk[0]==FREE || wk[1]==FREE || wk[2]==FREE)
#endif

/* Inside atomic steps: the waiting store of one process becomes visible; of all. */
inline drain(i) {
	if
	:: buf[i]!=0 -> wg[buf[i]-1]=wg[buf[i]-1]+1; wk[buf[i]-1]=FREE; buf[i]=0
	:: else -> skip
	fi
}
inline drain_all() {
#ifndef UNREGISTERED
	drain(1);
#endif
	drain(2);
#if CLIENTS > 2
	drain(3);
#endif
	skip
}

/* Inside an atomic step: the word is ours now. */
inline owned(i, x) {
	wk[x]=i;
	assert(own[x]==0);
	own[x]=i; who[x]=0; fin[x]=0; late[x]=0;
	if :: all_held(1) -> saw_all[1]=1 :: else -> skip fi;
	if :: all_held(2) -> saw_all[2]=1 :: else -> skip fi;
#if CLIENTS > 2
	if :: all_held(3) -> saw_all[3]=1 :: else -> skip fi
#endif
}

/* The swap of pool_claim_word(), after a load that saw the word FREE with generation g. */
inline claim(i, x) {
	drain(i);
#ifdef HINT_TRUTH
	owned(i, x); ok=1;
#elif defined(CLAIM_UNSEEN)
	if :: g!=0 -> owned(i, x); ok=1 :: else -> ok=0 fi;
#else
	if :: (wk[x]==FREE && wg[x]==g) -> owned(i, x); ok=1 :: else -> ok=0 fi;
#endif
	g=0
}

/* Take a hint out of the cache and look at its word; what the process itself has in its
 * store buffer it sees. */
inline hint(i) {
	if
	:: cache[i]==0 -> goto no_hint
	:: (cache[i]&1) -> c=0; cache[i]=cache[i]&254
	:: (cache[i]&2) -> c=1; cache[i]=cache[i]&253
#if N > 2
	:: (cache[i]&4) -> c=2; cache[i]=cache[i]&251
#endif
	fi;
	g=(buf[i]==c+1 -> wg[c]+1 : (wk[c]==FREE -> wg[c] : 0));
#if !defined(HINT_TRUTH) && !defined(SPIN)
	if :: g==0 -> goto hinted :: else -> skip fi
#endif
}

/*
 * The swap of pool_move_dry(), after a load that saw d with the bit set; inside an atomic step.
 * d stays if it must be tried again, and is 0 when the word was moved.
 */
inline cas_dry(i) {
	if :: i!=REAPER -> drain(i) :: else -> skip fi;
#ifdef BLIND_MOVE
	dry=(d+4)&254; d=0; moves++
#elif defined(CLEAR_ONLY)
	if :: dry==d -> dry=d&254; moves++ :: else -> skip fi; d=0
#elif defined(ONE_TRY)
	if :: dry==d -> dry=(d+4)&254; moves++ :: else -> skip fi; d=0
#else
	if
	:: dry==d -> dry=(d+4)&254; d=0; moves++
	:: dry!=d && (dry&1) && dry/4==d/4 -> d=dry
	:: else -> d=0
	fi
#endif
}

inline set_dry(i) {
	drain(i);
#ifndef NO_FLAG
	dry=dry|1;
#endif
	v=dry;
#if NOBARRIER
	if :: i==NOBARRIER && buf[3-i]!=0 -> late[buf[3-i]-1]=1 :: else -> skip fi;
#endif
	if :: all_held(i) -> saw_all[i]=1 :: else -> skip fi
}

/* What says that nobody has freed since set_dry(). */
#if defined(TRUST_SCAN) || defined(SCAN_FIRST)
#define unmoved 1
#elif defined(FLAG_ALONE)
#define unmoved (dry&1)
#elif defined(NO_FLAG)
#define unmoved (dry/4==v/4)
#else
#define unmoved ((dry&1) && dry/4==v/4)
#endif

/* Ghost: the free is complete, unless another has the chunk already. */
inline complete(i) {
	if :: (who[c]==i && own[c]==0) -> fin[c]=1 :: else -> skip fi
}

inline forget() { c=0; g=0; v=0; d=0; sum=0; before=0; hints=0; n_read=0; moved=0; ok=0 }

/*
 * Each atomic has one access to shared memory; the rest of it is private, or ghost.
 * A goto out of it ends it: others may run before the next access.
 */
proctype Client(byte id) {
	byte n, c, g, v, d, sum, before, hints;
	byte n_read, moved;      /* ghosts: readings in this call; moves before it */
	bool ok;
again:
	{
	skip;
next:	atomic {
		saw_all[id]=0; forget(); moved=moves;
#if NOBARRIER
		if :: id==NOBARRIER -> late[0]=0; late[1]=0 :: else -> skip fi;
#endif
		if
		:: n==OPS_OF(id) -> goto ended
		:: n<OPS_OF(id) && (!MODEST || (own[0]!=id && own[1]!=id)) ->
			n++; saw_all[id]=all_held(id); hint(id); goto hint_claim
		:: GIVE && n<OPS_OF(id) && own[0]==id -> n++; c=0; goto give
		:: GIVE && n<OPS_OF(id) && hc!=NONE -> n++; c=hc; goto take
		:: n<OPS_OF(id) && (own[0]==id || WILD) -> c=0
		:: n<OPS_OF(id) && (own[1]==id || WILD) -> c=1
#if N > 2
		:: n<OPS_OF(id) && (own[2]==id || WILD) -> c=2
#endif
		fi;
		/* mempool_free(): pool_release(); nobody else changes a word that names us */
		n++;
#ifndef NO_OWNER_CHECK
		ok=(wk[c]==id && buf[id]!=c+1);
		assert(ok==(own[c]==id));
		if :: !ok -> goto next :: else -> skip fi;   /* -EPERM */
#endif
#if defined(LOOK_FIRST)
		d=dry; goto store
#elif defined(HINT_FIRST)
		drain(id); list=list|(1<<c); goto store
#endif
	};
store:	atomic {
		drain(id);
		own[c]=0; who[c]=id; fin[c]=0; buf[id]=c+1;
#ifndef UNREGISTERED
		if :: (id==NOBARRIER || STRONG) -> drain(id) :: else -> skip fi;
#endif
#ifdef LOOK_FIRST
		goto looked
#endif
	};
	/* cache_keep() */
	atomic {
		d=dry;
#ifdef LOOK_FIRST
looked:
#endif
		if
		:: d&1 -> d=0
		:: else ->
			if :: id==2 && cache[id]!=0 -> goto overflow :: else -> skip fi;
#ifndef HINT_FIRST
			cache[id]=cache[id]|(1<<c);
#endif
			complete(id); goto next
		fi
	};
	atomic {
#ifndef PUSH_RELAXED
		drain(id);
#endif
		list=list|(1<<c);
#ifdef FREE_NO_MOVE
		complete(id); goto next
#endif
	};
	atomic { d=dry; if :: d&1 -> skip :: else -> complete(id); goto next fi };
moving:	atomic { cas_dry(id); if :: d!=0 -> goto moving :: else -> complete(id); goto next fi };

overflow: /* its cache is full */
	atomic { drain(id); list=list|cache[id]; cache[id]=(1<<c); complete(id); goto next };

	/* mempool_give(): who gets the handle has a reason to see the store */
give:	atomic {
		drain(id);
		assert(wk[c]==id);
		wg[c]=wg[c]+1; wk[c]=SENT+id; own[c]=0;
		hc=c; hg=wg[c];
		goto next
	};
	/* mempool_take(): the giver may be the reaper's by now */
take:	atomic { g=hg; if :: (wk[c]>SENT && wg[c]==g) -> v=wk[c] :: else -> goto next fi };
	atomic {
		drain(id);
		if
		:: (wk[c]==v && wg[c]==g) -> wg[c]=g+1; owned(id, c)
		:: else -> skip
		fi;
		goto next
	};

	/* mempool_alloc(): cache_claim() */
hinted:
	atomic { hint(id) };
hint_claim:
#ifdef SPIN
	if :: wk[c]==FREE -> skip :: else -> goto hint_claim fi;
#endif
	atomic { claim(id, c); if :: ok -> goto next :: else -> goto hinted fi };

no_hint:
	/* is_still_dry(): each 64th call goes on in any case */
	if
	:: rem[id]==0 -> skip
	:: atomic { rem[id]!=0 && dry==rem[id] -> assert(!some_done) }; goto next
	:: atomic { rem[id]!=0 -> rem[id]=0 }
	fi;
	/* refill; client 2's cache holds one */
refill:	atomic {
		if
		:: list==0 -> skip
		:: list!=0 && id!=2 -> drain(id); cache[id]=list; list=0; goto hinted
		:: id==2 && (list&1) -> drain(id); cache[id]=1; list=list&254; goto hinted
		:: id==2 && (list&2) -> drain(id); cache[id]=2; list=list&253; goto hinted
#if N > 2
		:: id==2 && (list&4) -> drain(id); cache[id]=4; list=list&251; goto hinted
#endif
		fi
	};
	/* claim_scanned() */
#ifndef SCAN_FIRST
	atomic { set_dry(id) };
#ifndef NO_MEMBARRIER
	/* the others' stores that come before this moment are visible, if it works */
	atomic { if :: id!=NOBARRIER -> drain_all() :: else -> skip fi };
#endif
#endif
	/* pool_scan_step(): ok says that this reading has found one */
	atomic { c=0; sum=0; n_read++; assert(n_read <= 2 + moves - moved) };
scan:	atomic {
#ifdef SUMS
		sum=sum+wg[c];
#endif
		g=(wk[c]==FREE -> wg[c] : 0);
		if
		:: g==0 -> goto scanned
		:: g!=0 && ok -> hints=hints|(1<<c); g=0; goto scanned
		:: g!=0 && !ok -> skip
		fi
	};
	/* who is too late counts it as held: freed since, it moves the dry word */
	atomic { claim(id, c) };
scanned:
	atomic {
		c++;
		if
		:: c<N -> goto scan
		:: c==N && ok -> goto found
		:: c==N && !ok -> c=0
		fi
	};
	/* nobody has freed since the dry bit was set? else from the list on */
	atomic {
		if
#ifdef SUMS
		:: sum!=before -> before=sum; goto refill
#else
		:: !unmoved -> goto refill
#endif
		:: else -> goto exhausted
		fi
	};
found:	if :: hints!=0 -> atomic { drain(id); list=list|hints; hints=0 } :: else -> skip fi;
	atomic { d=dry; if :: d&1 -> skip :: else -> goto next fi };
found_moving:
	atomic { cas_dry(id); if :: d!=0 -> goto found_moving :: else -> goto next fi };
exhausted:
#ifdef SCAN_FIRST
	atomic { set_dry(id) };
	atomic { drain_all() };
#endif
#ifdef LATE_SEQUENCE
	v=dry;
#endif
	atomic {
		assert(saw_all[id]);
#ifndef REMEMBER_ANYWAY
		if :: id==NOBARRIER -> v=0 :: else -> skip fi;
#endif
		rem[id]=v;
		goto next
	};

ended:	/* the thread ends: its hints go back */
	if :: cache[id]!=0 -> atomic { drain(id); list=list|cache[id]; cache[id]=0 } :: else -> skip fi
	} unless { kill[id] };
	atomic {
		drain(id);
		if
		:: kill[id] -> dead[id]=1; cache[id]=0; rem[id]=0; saw_all[id]=0
		:: else -> skip
		fi;
		forget();
		if :: dead[id] && REBORN -> skip :: else -> running--; goto gone fi
	};
	atomic { reaped[id] -> dead[id]=0; reaped[id]=0; kill[id]=0; goto again };
gone:	skip
}

/* Stores leave their buffers whenever they like. */
proctype Memory() {
	do
	:: atomic { buf[1]!=0 -> drain(1) }
	:: atomic { buf[2]!=0 -> drain(2) }
#if CLIENTS > 2
	:: atomic { buf[3]!=0 -> drain(3) }
#endif
	:: running==0 -> break
	od
}

#define is_dead(i)  (dead[i] && !reaped[i])
#if CLIENTS > 2
#define any_dead (is_dead(1) || is_dead(2) || is_dead(3))
#define names_the_dead(w) (w!=FREE && (set&(1<<w)))
#else
#define any_dead (is_dead(1) || is_dead(2))
#define names_the_dead(w) (w!=FREE && (set&(1<<w)))
#endif

/* The ids may be given to others. */
inline end_of_sweep() {
	if :: set&2 -> reaped[1]=1 :: else -> skip fi;
	if :: set&4 -> reaped[2]=1 :: else -> skip fi;
#if CLIENTS > 2
	if :: set&8 -> reaped[3]=1 :: else -> skip fi;
#endif
	c = 0
}

/* Ghost: the frees of this leaf are complete, the reaper's and what the dead had begun. */
inline leaf_done() {
	if
	:: (wk[c]==FREE && own[c]==0 && (who[c]==REAPER || (set&(1<<who[c])))) -> fin[c]=1
	:: else -> skip
	fi
}

/* One sweep serves all that were dead at its start. */
proctype Reaper() {
	byte c, k, g, d, set;
again:
	{
	do
	:: atomic { running==0 && !any_dead -> break }
	:: atomic { any_dead ->
		set = (is_dead(1)<<1) | (is_dead(2)<<2);
#if CLIENTS > 2
		set = set | (is_dead(3)<<3);
#endif
	   };
#ifdef REAP_EARLY_END
	   atomic { end_of_sweep() };
#endif
#ifdef REAP_MOVE_FIRST
	   d = dry;
	   do :: d&1 -> atomic { cas_dry(REAPER) } :: else -> d=0; break od;
#endif
#ifdef REAP_BITS_FIRST
	   list = (1<<N)-1;
#endif
leaf:
#ifdef REAP_LOOK_FIRST
	   d = dry;
#endif
	   atomic {
		k=wk[c]; g=wg[c];
		if
#ifdef REAP_ALL
		:: k!=FREE -> skip
#else
		:: k!=FREE && (set&(1<<(k&7))) -> skip
		:: k!=FREE && !(set&(1<<(k&7))) -> goto swept
#endif
		:: k==FREE -> goto hinting
		fi
	   };
	   atomic {
#ifdef REAP_STORE
		if
		:: true ->
#else
		if
		:: (wk[c]==k && wg[c]==g) ->
#endif
		   wk[c]=FREE; wg[c]=g+1;
		   assert(own[c]==0 || (set&(1<<own[c])));
		   own[c]=0; who[c]=REAPER; fin[c]=0
#ifndef REAP_STORE
		:: else -> goto swept
#endif
		fi
	   };
hinting:
#if !defined(REAP_NO_BITS) && !defined(REAP_BITS_FIRST)
	   atomic { list=list|(1<<c) };
#endif
#ifdef REAP_LOOK_FIRST
	   do :: d&1 -> atomic { cas_dry(REAPER) } :: else -> break od;
#elif !defined(REAP_NO_MOVE) && !defined(REAP_MOVE_FIRST) && !defined(REAP_MOVE_LAST)
	   atomic { d=dry; if :: d&1 -> skip :: else -> leaf_done(); goto swept fi };
reap_moving:
	   atomic { cas_dry(REAPER); if :: d!=0 -> goto reap_moving :: else -> skip fi };
#endif
	   atomic { leaf_done() };
swept:	   atomic { c++; k=0; g=0; d=0; if :: c<N -> goto leaf :: else -> c=0 fi };
#ifdef REAP_MOVE_LAST
	   d = dry;
	   do :: d&1 -> atomic { cas_dry(REAPER) } :: else -> d=0; break od;
#endif
	   atomic { end_of_sweep(); set=0 }
	od
	} unless { rkill };
	if
	:: rkill -> atomic { rkill=0; c=0; k=0; g=0; d=0; set=0 }; goto again
	:: else -> skip
	fi;
	/* quiescence: nothing is lost */
	atomic {
		c = 0;
		do
		:: c==N -> break
		:: c<N ->
		   assert(wk[c]==own[c] || (wk[c]>SENT && own[c]==0));
		   assert(!dead[wk[c]&7]);
		   assert(wk[c]!=FREE || (list&(1<<c)));
		   c++
		od;
		c = 1;
		do
		:: c>CLIENTS -> break
		:: c<=CLIENTS ->
		   assert(rem[c]==0 || rem[c]!=dry || !some_free);
		   c++
		od
	}
}

/* pool_set_scarce(), pool_clear_scarce(): each by some client that has found a chunk. */
proctype Scarcity() {
	do
	:: flips_left>0 -> atomic { flips_left--; dry=dry^2 }
	:: break
	od
}

proctype Killer() {
	do
	:: kills_left>0 -> kills_left--;
	   if :: kill[1]=1 :: kill[2]=1 :: kill[CLIENTS]=1 fi
	:: rkills_left>0 -> rkills_left--; rkill=1
	:: break
	od
}

init { atomic {
	byte j;
	do :: j==N -> break :: j<N -> wg[j]=1; j++ od;
	/* a new pool, or one that is all in use */
	if
	:: START==4 -> wk[0]=1; own[0]=1; fin[1]=1; cache[2]=2
	:: START&1 -> list=(1<<N)-1;
	   j=0;
	   do :: j==N -> break :: j<N -> fin[j]=1; j++ od
	:: START&2 -> j=0;
	   do
	   :: j==N -> break
	   :: j<N -> wk[j]=(j%CLIENTS)+1; own[j]=wk[j]; j++
	   od
	fi;
	run Client(1); run Client(2);
#if CLIENTS > 2
	run Client(3);
#endif
	run Memory(); run Reaper();
	if :: KILLS+RKILLS -> run Killer() :: else -> skip fi;
	if :: FLIPS -> run Scarcity() :: else -> skip fi
} }
