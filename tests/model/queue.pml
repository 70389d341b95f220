/* SPDX-License-Identifier: MIT */
/*
 * queue.pml - the ring of handles (shm/queue.c, client/queue.c, and the reaper's part in
 * shm/reap.c) for spin.
 *
 * A ring of CAP slots, LINE of them a line, NCHUNK chunks, NPROD senders who each send SENDS
 * messages (the second SENDS2), two receivers until all is received, and the reaper. A slot
 * holds a handle (chunk and generation), or EMPTY and its round; who has which chunk is in the
 * chunk's word alone. Any sender or receiver may be killed before any access to shared memory
 * (KILLS). The reaper notes what stands in the slots after a death, then goes through the
 * words, then helps the head.
 *
 * Places persist from call to call. With OLD they may be set back to any older value before
 * each; with THREADS the senders are threads of one process and share a view, and so do the
 * receivers: each look at a place is then a step, too.
 *
 * With ONE_SENDER one of the senders at a time has the sender's role, a word of the ring (queues.md), and
 * fills slots by stores; the role is given back when it has sent all, or by the reaper.
 *
 * Who found the queue empty, or full, sleeps until it is not; a sender takes his chunk back
 * before he sleeps (TAKE_BACK; else he leaves the word as it is). Several messages in one call
 * are several calls.
 *
 * Each step has one access to shared memory; all are seq_cst in the code. The tail is moved by
 * a loop that ends as soon as the tail is far enough: here a step.
 *
 * Checked:
 *   messages are sent and received in the order of the ring, each once; none is lost unless
 *   the receivers are dead;
 *   the head passes what was received, the tail what was sent, and a slot is emptied whose
 *   message was received;
 *   who finds the queue empty, or full: at some moment of the call it was; nobody takes what
 *   others have just left for damage (-EBADMSG);
 *   no chunk has two owners; when all stands still and the dead are reaped, each is free, or
 *   a message that nobody is left to receive;
 *   nobody waits for one that stands still (cc -DNP, without fairness).
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion
 * violation:
 *   -DSLOT_FIRST     the sender reads the slot before he asks the head anew
 *   -DNO_FULLHELP    the sender takes a received, not yet emptied slot for a full queue
 *   -DROOM_NO_LOOK   the sender to a full queue does not look at the head again
 *   -DTAIL_LINE      the sender moves the tail past the line that he has begun
 *   -DHEAD_FIRST     the receiver looks at the head before the slot
 *   -DNO_LAP         the receiver trusts his place, and does not look at the head
 *   -DNO_EMPTYHELP   the receiver takes an emptied slot for an empty queue
 *   -DONE_TAKE       a receiver whose swap failed takes the message for received by another
 *   -DNO_TIDY        the receiver does not move the head at the end of a line
 *   -DTIDY_NO_LOOK   who empties slots does not look at the head again
 *   -DTIDY_STORE     ... empties them by a store
 *   -DTIDY_TRUSTS    ... also empties one behind those that he knows to be received
 *   -DTIDY_HEAD      ... moves the head before
 *   -DTIDY_ONCE      ... leaves the head behind if somebody else has moved it meanwhile
 *   -DREAP_FREES     the reaper frees also what the dead had published
 *   -DREAP_KEEPS     the reaper keeps also what the dead had not published
 *   -DREAP_STORE     the reaper writes the word by a store
 *   -DNO_ROLE        with ONE_SENDER: both senders send
 * and these a non-progress cycle:
 *   -DOLD_HEAD       the sender does not ask the head anew
 *   -DWAIT           the receiver waits for the one who stopped half-way
 */
#ifndef CAP
#define CAP 2
#endif
#ifndef LINE
#define LINE 2
#endif
#ifndef SENDS
#define SENDS 1
#endif
#ifndef SENDS2
#define SENDS2 SENDS
#endif
#define N_SENDS(id) (id == 1 -> SENDS : SENDS2)
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
byte n_free = NCHUNK;
byte place[NCHUNK];			/* ghost: which message it is */
byte sc[CAP], sg[CAP];			/* slots: chunk and generation, or EMPTY and round */
byte head, tail;
bool killed[5], reaped[5];
byte running = NPROD + 2, senders = NPROD, kills_left = KILLS;
byte nsent, nrecv;			/* ghosts: published, received */
bool saw_empty[5], saw_full[5];		/* ghosts: it was so at some moment of the call */
#ifdef THREADS
byte sent_to, head_seen, received_to;
#endif
#ifdef ONE_SENDER
byte role;
#endif

inline note() {
	if :: nsent == nrecv -> saw_empty[3] = 1; saw_empty[4] = 1 :: else fi;
	if :: nsent - nrecv == CAP -> saw_full[1] = 1; saw_full[2] = 1 :: else fi
}

/* Before each access of who is mortal. */
inline die(mortal) {
#if KILLS > 0
	if
	:: mortal && kills_left > 0 -> kills_left--; killed[id] = 1; goto dead
	:: true
	fi
#else
	skip
#endif
}

inline free_chunk(c) {
	ck[c] = FREE; cv[c] = 0; cg[c]++; place[c] = 0; n_free++
}

/* at - head > mask, unsigned */
#define IS_OUT(at, head) ((at) < (head) || (at) - (head) >= CAP)

#define IS_EMPTY_BEFORE(c, g, at) (c == EMPTY && g == (at) / CAP)
#define IS_EMPTY_AFTER(c, g, at) (c == EMPTY && g == (at) / CAP + 1)
#define IS_WAITING(c, g) (ck[c] == SENT && cg[c] == g)

inline set_back(p) {
#ifdef OLD
	do :: p > 0 -> p-- :: break od
#else
	skip
#endif
}

inline move_head(from, to) {
	if
	:: head == from -> assert(nrecv >= to); head = to; ok = 1
	:: else -> ok = 0
	fi
}

#define IN_TIDY(known) (ta - th < LINE || ta < known)

/* tidy(); ok: what is to be done is done. */
inline tidy(known, mortal) {
	atomic { die(mortal); th = head; ta = th; ok = 1 };
#ifdef TIDY_HEAD
	atomic { if :: known > th -> move_head(th, known); th = head :: else fi };
#endif
	do
	:: atomic { !IN_TIDY(known) -> break }
	:: atomic { IN_TIDY(known) -> die(mortal); tc = sc[ta % CAP]; tg = sg[ta % CAP] };
#ifndef TIDY_NO_LOOK
		atomic { die(mortal); if :: head != th -> ok = 0; break :: else fi };
#endif
		atomic {
			if
			:: IS_EMPTY_AFTER(tc, tg, ta) -> goto passed
			:: tc == EMPTY && !IS_EMPTY_AFTER(tc, tg, ta) -> assert(ta >= known); break
			:: else
			fi;
			if
#ifdef TIDY_TRUSTS
			:: ta < known + 1
#else
			:: ta < known
#endif
			:: else -> die(mortal); if :: IS_WAITING(tc, tg) -> break :: else fi
			fi
		};
		atomic {
			die(mortal);
			if
#ifdef TIDY_STORE
			:: true ->
#else
			:: sc[ta % CAP] == tc && sg[ta % CAP] == tg ->
#endif
				assert(head <= ta && nrecv > ta);
				sc[ta % CAP] = EMPTY; sg[ta % CAP] = ta / CAP + 1
			:: else
			fi;
passed:			ta++; tc = 0; tg = 0
		}
	od;
	atomic {
		if
		:: ok && ta != th -> die(mortal); move_head(th, ta)
		:: else
		fi;
		ta = 0; th = 0; tc = 0; tg = 0
	}
}

proctype Sender(byte id) {
	byte n, c, g, at, h, s_c, s_g, ta, th, tc, tg;
	bool ok;
#ifndef THREADS
	byte sent_to, head_seen;
#endif
#if defined(ONE_SENDER) && !defined(NO_ROLE)
	atomic { role == 0 -> die(1); role = id };
#endif
	do
	:: atomic { n == N_SENDS(id) -> break }
	:: n < N_SENDS(id) ->
		/* Any that is free, when one is: claimed and sealed. */
		atomic {
			n_free > 0;
			do :: ck[c] == FREE -> break :: else -> c++ od;
			n_free--; cv[c] = id;
seal:			die(1);
			cg[c]++; g = cg[c]; ck[c] = SENT;
			saw_full[id] = (nsent - nrecv == CAP)
		};
again:
#ifdef THREADS
		at = tail;
		atomic { h = head_seen; set_back(h) };
		atomic { s_c = sent_to; set_back(s_c); if :: at < s_c -> at = s_c :: else fi; s_c = 0 };
#else
		atomic {
			die(1);
			at = tail;
			h = head_seen; set_back(h);
			s_c = sent_to; set_back(s_c);
			if :: at < s_c -> at = s_c :: else fi;
			s_c = 0
		};
#endif
look:
#ifdef SLOT_FIRST
		atomic { die(1); s_c = sc[at % CAP]; s_g = sg[at % CAP] };
#endif
		if
#ifndef OLD_HEAD
		:: atomic { IS_OUT(at, h) -> die(1); h = head; if :: at < h -> at = h :: else fi };
			head_seen = h
#endif
		:: else
		fi;
		if
		:: atomic { IS_OUT(at, h) -> die(1); s_c = sc[h % CAP]; s_g = sg[h % CAP] };
#ifndef ROOM_NO_LOOK
			atomic { die(1); if :: head != h -> s_c = 0; s_g = 0; goto look :: else fi };
#endif
			atomic {
				assert(at - h == CAP);
				if
				:: s_c == EMPTY -> assert(IS_EMPTY_AFTER(s_c, s_g, h))
				:: s_c != EMPTY ->
					die(1);
					if
#ifndef NO_FULLHELP
					:: !IS_WAITING(s_c, s_g)
					:: IS_WAITING(s_c, s_g) ->
#else
					:: true ->
#endif
						assert(saw_full[id]); goto is_full
					fi
				fi;
				s_c = 0; s_g = 0
			};
			tidy(h, 1);
			goto look
		:: else
		fi;
#ifndef SLOT_FIRST
		atomic { die(1); s_c = sc[at % CAP]; s_g = sg[at % CAP] };
#endif
		atomic {
			ok = 0;
			if
			:: IS_EMPTY_BEFORE(s_c, s_g, at) ->
				die(1);
				if
#ifdef ONE_SENDER
				:: true ->
					assert(sc[at % CAP] == s_c && sg[at % CAP] == s_g);
#else
				:: sc[at % CAP] == s_c && sg[at % CAP] == s_g ->
#endif
					assert(at == nsent && nsent - nrecv < CAP);
					sc[at % CAP] = c; sg[at % CAP] = g; ok = 1;
					place[c] = at; nsent++; note()
				:: else
				fi
			:: else
			fi;
			at++; s_c = 0; s_g = 0;
			if :: !ok -> goto look :: ok -> c = 0; g = 0; h = 0 fi
		};
		sent_to = at;
#ifdef TAIL_LINE
		at = at + LINE - 1 - (at + LINE - 1) % LINE;
#endif
progress_sent:	atomic {
			die(1);
			if
			:: at % LINE == 0 ->
				if :: tail < at -> assert(at <= nsent); tail = at :: else fi
			:: else
			fi;
			at = 0; n++
		};
		goto next;
is_full:	atomic { at = 0; h = 0; s_c = 0; s_g = 0 };
#ifdef TAKE_BACK
		atomic { die(1); assert(ck[c] == SENT && cv[c] == id && cg[c] == g); ck[c] = OWNED };
		/* Asleep until there is room. */
progress_full:	atomic { nsent - nrecv < CAP -> goto seal };
#else
progress_full:	atomic { nsent - nrecv < CAP -> saw_full[id] = 0; goto again };
#endif
next:		skip
	od;
#if defined(ONE_SENDER) && !defined(NO_ROLE)
	atomic { die(1); role = 0 };
#endif
dead:	atomic {
		running--; senders--;
		n = 0; c = 0; g = 0; at = 0; h = 0; s_c = 0; s_g = 0; ok = 0;
		ta = 0; th = 0; tc = 0; tg = 0;
#ifndef THREADS
		sent_to = 0; head_seen = 0
#endif
	}
}

proctype Receiver(byte id) {
	byte at, h, c, g, v, ta, th, tc, tg;
	bool ok, is_mine;
#ifndef THREADS
	byte received_to;
#endif
	do
	:: true ->
		atomic { saw_empty[id] = (nsent == nrecv); at = received_to; set_back(at) };
look:
#ifdef HEAD_FIRST
		atomic { die(1); h = head };
#endif
		atomic { die(1); c = sc[at % CAP]; g = sg[at % CAP] };
		atomic {
#ifndef NO_LAP
#ifndef HEAD_FIRST
			die(1); h = head;
#endif
			if :: IS_OUT(at, h) -> at = h; h = 0; c = 0; g = 0; goto look :: else fi;
			h = 0;
#endif
			if
#ifdef NO_EMPTYHELP
			:: c == EMPTY ->
#else
			:: IS_EMPTY_BEFORE(c, g, at) ->
#endif
				assert(saw_empty[id]); goto is_empty
#ifndef NO_EMPTYHELP
			:: c == EMPTY && !IS_EMPTY_BEFORE(c, g, at) ->
				assert(IS_EMPTY_AFTER(c, g, at)); goto pass
#endif
			:: c != EMPTY
			fi
		};
		do
		:: atomic { die(1); if :: IS_WAITING(c, g) -> v = cv[c] :: else -> break fi };
			atomic {
				die(1);
				if
				:: ck[c] == SENT && cv[c] == v && cg[c] == g ->
					assert(place[c] == nrecv && at == nrecv);
					cg[c]++; ck[c] = OWNED; cv[c] = id; is_mine = 1;
					nrecv++; note(); v = 0; break
				:: else ->
					v = 0
#ifdef ONE_TAKE
					; break
#endif
				fi
			}
		od;
#ifdef WAIT
		if :: !is_mine && head <= at -> goto look :: else fi;
#endif
pass:		at++;
#ifndef NO_TIDY
		if
		:: at % LINE == 0 ->
			do
			:: tidy(at, 1);
				if
#ifndef TIDY_ONCE
				:: !ok
#endif
				:: else -> break
				fi
			od;
			ok = 0
		:: else
		fi;
#endif
		if :: !is_mine -> c = 0; g = 0; goto look :: is_mine fi;
		received_to = at;
progress_received:
		atomic {
			die(1);
			assert(ck[c] == OWNED && cv[c] == id && cg[c] == g + 1);
			free_chunk(c); at = 0; c = 0; g = 0; is_mine = 0
		};
		goto next;
is_empty:	atomic { received_to = at; at = 0; c = 0; g = 0 };
		/* Asleep until there is something, or nothing will come. */
progress_empty:	atomic {
			if
			:: nsent > nrecv
			:: nsent == nrecv && senders == 0 -> break
			fi
		};
next:		skip
	od;
dead:	atomic {
		running--;
		at = 0; h = 0; c = 0; g = 0; v = 0; ok = 0; is_mine = 0;
		ta = 0; th = 0; tc = 0; tg = 0;
#ifndef THREADS
		received_to = 0
#endif
	}
}

#define IS_DUE(id) (killed[id] && !reaped[id])

inline reap() {
	/* What stood in the slots after the death. */
	do
	:: atomic { i == CAP -> i = 0; break }
	:: atomic { i < CAP -> nc[i] = sc[i]; ng[i] = sg[i]; i++ }
	od;
	do
	:: atomic { i == NCHUNK -> i = 0; break }
	:: atomic { i < NCHUNK -> k = ck[i]; v = cv[i]; g = cg[i] };
		atomic {
			if
			:: k == OWNED && v == id ->
				assert(ck[i] == OWNED && cv[i] == id && cg[i] == g); free_chunk(i)
			:: k == SENT && v == id ->
				n = 0;
				do
				:: n == CAP -> break
				:: n < CAP -> ok = (ok || (nc[n] == i && ng[n] == g)); n++
				od;
				n = 0;
#ifdef REAP_FREES
				ok = 0;
#endif
#ifdef REAP_KEEPS
				ok = 1;
#endif
				if
#ifdef REAP_STORE
				:: true ->
#else
				:: ck[i] == SENT && cv[i] == id && cg[i] == g ->
#endif
					if
					:: ok -> ck[i] = SENT; cv[i] = 0; cg[i] = g
					:: else -> cg[i] = g; free_chunk(i)
					fi
				:: else
				fi
			:: else
			fi;
			i++; k = 0; v = 0; g = 0; ok = 0
		}
	od;
	/* queue_help() */
	do
	:: atomic { i >= CAP -> break }
	:: atomic { i < CAP -> i = i + LINE; h = head };
		tidy(h, 0);
		atomic { if :: head == h -> break :: else fi }
	od;
#ifdef ONE_SENDER
	atomic { if :: role == id -> role = 0 :: else fi };
#endif
	atomic {
		reaped[id] = 1; i = 0; h = 0; ok = 0; id = 0;
		do :: n == CAP -> break :: n < CAP -> nc[n] = 0; ng[n] = 0; n++ od;
		n = 0
	}
}

proctype Reaper() {
	byte i, k, v, g, h, n, id, ta, th, tc, tg;
	byte nc[CAP], ng[CAP];
	bool ok;
#if KILLS > 0
	do
	:: atomic { IS_DUE(1) || IS_DUE(2) || IS_DUE(3) || IS_DUE(4) ->
		id = (IS_DUE(1) -> 1 : (IS_DUE(2) -> 2 : (IS_DUE(3) -> 3 : 4))) };
		reap()
	:: atomic { running == 0 && !IS_DUE(1) && !IS_DUE(2) && !IS_DUE(3) && !IS_DUE(4) -> break }
	od;
#endif
dead:	atomic {
		running == 0;
		do
		:: i == NCHUNK -> break
		:: i < NCHUNK -> assert(ck[i] == FREE || (ck[i] == SENT && killed[3] && killed[4])); i++
		od;
		assert(nsent == nrecv || (killed[3] && killed[4]))
	}
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
		run Reaper()
	}
}
