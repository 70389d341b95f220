/* SPDX-License-Identifier: MIT */
/*
 * queue.pml - the ring of handles (shm/queue.c, client/queue.c, and the reaper's part in
 * shm/reap.c) for spin.
 *
 * A ring of CAP slots, NCHUNK chunks, NPROD senders who each send SENDS messages, two receivers
 * until all is received, and the reaper. A slot holds a handle (chunk and generation), or
 * EMPTY and its round; who has which chunk is in the chunk's word alone. Any sender or
 * receiver may be killed between any two accesses to shared memory (KILLS). The reaper notes
 * what stands in the slots after a death, then goes through the words, then helps the head.
 *
 * A sender to a full queue takes its chunk back and tries again, as after a wait (TAKE_BACK;
 * else it tries again at once). Several messages in one call are several calls.
 *
 * Each step has one access to shared memory; all are seq_cst in the code.
 *
 * Checked:
 *   messages are received in the order of the ring, each once; none is lost unless the
 *   receivers are dead;
 *   head and tail never pass a slot that was not emptied, or filled;
 *   who finds the queue empty, or full: at some moment of the call it was; nobody takes what
 *   others have just left for damage (-EBADMSG);
 *   no chunk has two owners; when all stands still and the dead are reaped, each is free, or
 *   a message that nobody is left to receive;
 *   nobody waits for one that stands still (cc -DNP, without fairness).
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion
 * violation:
 *   -DSLOT_FIRST     the sender reads the slot before the head
 *   -DNO_HEAD        the sender fills an emptied slot without asking the head
 *   -DNO_LOOK        the receiver does not look at the head again
 *   -DNO_EMPTYHELP   the receiver takes an emptied slot at a lagging head for an empty queue
 *   -DNO_FULLHELP    the sender takes a received, not yet emptied slot for a full queue
 *   -DONE_TAKE       a receiver whose swap failed takes the message for received by another
 *   -DBLIND_EMPTY    a receiver empties its slot by a store
 *   -DREAP_FREES     the reaper frees also what the dead had published
 *   -DREAP_KEEPS     the reaper keeps also what the dead had not published
 *   -DREAP_STORE     the reaper writes the word by a store
 *   -DHELP_NO_LOOK   the reaper's help does not look at the head again
 * and this one a non-progress cycle:
 *   -DWAIT           the receiver waits for the one who stopped half-way
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef SENDS
#define SENDS 1
#endif
#ifndef NPROD
#define NPROD 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef NCHUNK
#define NCHUNK 3
#endif
#define FREE   0
#define OWNED  1
#define SENT   2			/* value: the sender; 0 once its death was handled */
#define EMPTY  15			/* in a slot, with the round */

byte cg[NCHUNK], ck[NCHUNK], cv[NCHUNK];	/* words: generation, kind, value */
byte place[NCHUNK];			/* ghost: which message it is */
byte sc[CAP], sg[CAP];			/* slots: chunk and generation, or EMPTY and round */
byte head, tail;
bool killed[5], reaped[5], is_over[5];
byte running = NPROD + 2, senders = NPROD, kills_left = KILLS;
byte nsent, nrecv;			/* ghosts: published, received */
bool saw_empty[5], saw_full[5];		/* ghosts: it was so at some moment of the call */

inline note() {
	if :: nsent == nrecv -> saw_empty[3] = 1; saw_empty[4] = 1 :: else fi;
	if :: nsent - nrecv == CAP -> saw_full[1] = 1; saw_full[2] = 1 :: else fi
}

inline advance_tail(t) {
	d_step {
		if
		:: tail == t -> assert(sc[t % CAP] != EMPTY || sg[t % CAP] != t / CAP); tail = t + 1
		:: else
		fi
	}
}

inline advance_head(h) {
	d_step {
		if
		:: head == h ->
			assert(nrecv > h);
			assert(sc[h % CAP] != EMPTY || sg[h % CAP] != h / CAP);
			head = h + 1
		:: else
		fi
	}
}

/* What was received at h: slot to EMPTY, head on. */
inline finish(h, c, g) {
	atomic {
		if
#ifdef BLIND_EMPTY
		:: true ->
#else
		:: sc[h % CAP] == c && sg[h % CAP] == g ->
#endif
			assert(head == h && nrecv > h);
			sc[h % CAP] = EMPTY; sg[h % CAP] = h / CAP + 1
		:: else
		fi
	};
	advance_head(h)
}

proctype Sender(byte id) {
	byte n, c, g, t, h, s_c, s_g;
	bool ok;
	{
		do
		:: n == SENDS -> break
		:: n < SENDS ->
			/* any that is free, when one is */
			c = 0;
			do
			:: d_step { ck[c] == FREE -> ck[c] = OWNED; cv[c] = id }; break
			:: d_step { ck[c] != FREE -> c = (c + 1) % NCHUNK }
			od;
seal:			atomic { assert(ck[c] == OWNED && cv[c] == id); cg[c]++; g = cg[c]; ck[c] = SENT };
			saw_full[id] = (nsent - nrecv == CAP);
look:			t = tail;
#ifdef SLOT_FIRST
			d_step { s_c = sc[t % CAP]; s_g = sg[t % CAP] };
			h = head;
#else
			h = head;
			d_step { s_c = sc[t % CAP]; s_g = sg[t % CAP] };
#endif
			ok = (s_c == EMPTY && s_g == t / CAP);
			if
#ifdef NO_HEAD
			:: t - h >= CAP && !ok ->
#else
			:: t - h >= CAP ->
#endif
				d_step { s_c = sc[h % CAP]; s_g = sg[h % CAP] };
				if :: head != h -> goto look :: else fi;
				if
				:: s_c == EMPTY -> assert(s_g == h / CAP + 1); advance_head(h); goto look
				:: else
				fi;
#ifdef NO_FULLHELP
				ok = 1;
#else
				ok = (ck[s_c] == SENT && cg[s_c] == s_g);
#endif
				if
				:: !ok -> finish(h, s_c, s_g); goto look
				:: ok ->
progress_full:				assert(saw_full[id]);
#ifdef TAKE_BACK
					d_step { assert(ck[c] == SENT && cv[c] == id && cg[c] == g); ck[c] = OWNED };
					goto seal
#else
					saw_full[id] = (nsent - nrecv == CAP);
					goto look
#endif
				fi
#ifdef NO_HEAD
			:: ok ->
#else
			:: t - h < CAP && ok ->
#endif
				d_step {
					if
					:: sc[t % CAP] == EMPTY && sg[t % CAP] == s_g ->
						sc[t % CAP] = c; sg[t % CAP] = g; ok = 1;
						place[c] = nsent; nsent++; note()
					:: else -> ok = 0
					fi
				};
				if :: !ok -> goto look :: ok -> advance_tail(t) fi
			:: t - h < CAP && !ok ->
				if
				:: h - t > 1 || (s_c == EMPTY && s_g != t / CAP + 1) -> assert(tail != t)
				:: else -> advance_tail(t)
				fi;
				goto look
			fi;
progress_sent:		n++
		od
	} unless { killed[id] };
	atomic { is_over[id] = 1; running--; senders--; n = 0; c = 0; g = 0; t = 0; h = 0; s_c = 0; s_g = 0; ok = 0 }
}

proctype Receiver(byte id) {
	byte h, c, g, v, state;
	{
		do
		:: true ->
			saw_empty[id] = (nsent == nrecv);
look:			h = head;
			d_step { c = sc[h % CAP]; g = sg[h % CAP] };
#ifndef NO_LOOK
			if :: head != h -> goto look :: else fi;
#endif
			if
			:: c == EMPTY ->
#ifndef NO_EMPTYHELP
				if
				:: g != h / CAP -> assert(g == h / CAP + 1); advance_head(h); goto look
				:: else
				fi;
#endif
progress_empty:			assert(saw_empty[id]);
				atomic { if :: senders == 0 && nsent == nrecv -> break :: else fi }
			:: else ->
				do
				:: d_step { v = cv[c]; state = ((ck[c] == SENT && cg[c] == g) -> 0 : 1) };
				   if
				   :: state == 1 ->
#ifdef WAIT
					if :: head == h -> state = 3 :: else fi;
#endif
					break
				   :: else
				   fi;
				   d_step {
					if
					:: ck[c] == SENT && cv[c] == v && cg[c] == g ->
						assert(place[c] == nrecv);
						cg[c]++; ck[c] = OWNED; cv[c] = id; state = 2;
						nrecv++; note()
					:: else
#ifdef ONE_TAKE
						-> state = 1
#endif
					fi
				   };
				   if :: state != 0 -> break :: else fi
				od;
#ifdef WAIT
				if :: state == 3 -> goto look :: else fi;
#endif
				finish(h, c, g);
				if :: state == 1 -> goto look :: else fi;
progress_received:		d_step { assert(ck[c] == OWNED && cv[c] == id && cg[c] == g + 1); ck[c] = FREE; cv[c] = 0; cg[c]++ }
			fi
		od
	} unless { killed[id] };
	atomic { is_over[id] = 1; running--; h = 0; c = 0; g = 0; v = 0; state = 0 }
}

#define IS_DUE(id) (killed[id] && is_over[id] && !reaped[id])

inline reap(dead) {
	/* what stood in the slots after the death */
	i = 0;
	do
	:: i == CAP -> break
	:: i < CAP -> d_step { nc[i] = sc[i]; ng[i] = sg[i] }; i++
	od;
	i = 0;
	do
	:: i == NCHUNK -> break
	:: i < NCHUNK ->
		d_step { k = ck[i]; v = cv[i]; g = cg[i] };
		if
		:: k == OWNED && v == dead ->
			d_step { assert(ck[i] == OWNED && cv[i] == dead && cg[i] == g); ck[i] = FREE; cv[i] = 0; cg[i]++ }
		:: k == SENT && v == dead ->
			d_step {
				found = (nc[0] == i && ng[0] == g);
#if CAP > 1
				found = (found || (nc[1] == i && ng[1] == g));
#endif
#ifdef REAP_FREES
				found = 0;
#endif
#ifdef REAP_KEEPS
				found = 1;
#endif
			};
			d_step {
				if
#ifdef REAP_STORE
				:: true ->
#else
				:: ck[i] == SENT && cv[i] == dead && cg[i] == g ->
#endif
					if
					:: found -> ck[i] = SENT; cv[i] = 0; cg[i] = g
					:: else -> ck[i] = FREE; cv[i] = 0; cg[i] = g + 1
					fi
				:: else
				fi
			}
		:: else
		fi;
		d_step { i++; k = 0; v = 0; g = 0; found = 0 }
	od;
	/* queue_help() */
	i = 0;
	do
	:: i == CAP -> break
	:: i < CAP ->
		i++;
		h = head;
		d_step { k = sc[h % CAP]; g = sg[h % CAP] };
#ifndef HELP_NO_LOOK
		if
		:: head != h
		:: head == h && k == EMPTY && g == h / CAP -> break
		:: head == h && k == EMPTY && g != h / CAP -> advance_head(h)
		:: head == h && k != EMPTY ->
#else
		if
		:: k == EMPTY && g == h / CAP -> break
		:: k == EMPTY && g != h / CAP -> advance_head(h)
		:: k != EMPTY ->
#endif
			found = (ck[k] == SENT && cg[k] == g);
			if :: found -> break :: else finish(h, k, g) fi
		fi
	od;
	atomic { reaped[dead] = 1; i = 0; k = 0; v = 0; g = 0; h = 0; found = 0 }
}

proctype Reaper() {
	byte i, k, v, g, h, dead;
	byte nc[CAP], ng[CAP];
	bool found;
	do
	:: atomic { IS_DUE(1) || IS_DUE(2) || IS_DUE(3) || IS_DUE(4) ->
		dead = (IS_DUE(1) -> 1 : (IS_DUE(2) -> 2 : (IS_DUE(3) -> 3 : 4))) };
		reap(dead)
	:: atomic { running == 0 && !IS_DUE(1) && !IS_DUE(2) && !IS_DUE(3) && !IS_DUE(4) -> break }
	od;
	i = 0;
	do
	:: i == NCHUNK -> break
	:: i < NCHUNK -> assert(ck[i] == FREE || (ck[i] == SENT && killed[3] && killed[4])); i++
	od;
	assert(nsent == nrecv || (killed[3] && killed[4]))
}

proctype Killer() {
	do
	:: kills_left > 0 -> kills_left--;
		if :: killed[1] = 1 :: killed[NPROD] = 1 :: killed[3] = 1 :: killed[4] = 1 fi
	:: break
	od
}

init {
	atomic {
		byte i;
		do :: i < CAP -> sc[i] = EMPTY; i++ :: else -> break od;
		i = 0;
		do :: i < NCHUNK -> cg[i] = 1; i++ :: else -> break od;
		run Sender(1);
#if NPROD > 1
		run Sender(2);
#endif
		run Receiver(3); run Receiver(4);
		run Reaper(); run Killer()
	}
}
