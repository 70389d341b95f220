/* SPDX-License-Identifier: MIT */
/*
 * role.pml - a queue whose messages one thread alone receives, and that one thread alone sends to, or many
 *	      (queues.md, sections 2 to 4), for spin.
 *
 * A ring of CAP slots, LINE of them a line, NCHUNK chunks. Two receivers each want the role of the
 * receiver; with ONE_SENDER two senders each want that of the sender, else both send at once. A role is a word
 * of the ring: 0, or whose it is. Taken by a swap at the first call, given back by a close (CLOSES of them,
 * between two calls), or by the reaper. Who finds it taken is told so, and tries again later.
 *
 * Only whoever has the receiver's role empties slots and moves the head, by plain stores:
 *
 *   receive	slot; word (SENT) := OWNED(me), next generation; slot := EMPTY(next round); head + 1
 *   send	a round before the head: full. EMPTY(this round): fill it, by a swap, or by a store
 *		where there is one sender. Else somebody has sent here
 *   reaper	slots: the name of the dead is taken out of what it had published; words; then,
 *		while the role still names the dead: an emptied or received slot at the head is passed;
 *		then the role := 0
 *
 * Whoever may die is killed before any access to shared memory (KILLS), the reaper too (RKILLS): it begins again.
 * Each step has one access; a store of the receiver goes by what an earlier step has loaded.
 *
 * A message has its place until the head has passed it, two stores after its receipt: a receiver that is stopped there
 * keeps that one place; of one that is killed there the reaper passes it.
 *
 * Checked: messages are sent and received in the order of the ring, each once, none is lost; what a plain
 * store writes over is what its writer saw there; who finds the queue empty, or full: at some moment of the call it
 * was; nobody meets what no queue leaves (-EBADMSG); no chunk has two owners; when all stands still and the
 * dead are reaped, each chunk is free or a message that nobody is left to receive, and no role is held.
 *
 * tests/model/run builds and runs all of this. Each of these must give an assertion violation:
 *   -DNO_ROLE         both receivers receive (-DONE_SENDER: both senders send by stores)
 *   -DSLOT_FIRST      the receiver empties the slot before it takes the word
 *   -DHEAD_FIRST      ... moves the head before it empties the slot
 *   -DPLACE_KEPT      ... goes on from its own place when it has the role again
 *   -DCLOSE_EARLY     ... gives the role back before it moves the head
 *   -DSENDER_TIDIES   a sender to a full ring passes what is received, as in a queue for many
 *   -DHELP_ANY        the reaper does so whoever has the role
 *   -DROLE_FIRST      ... gives the role back before it has done so
 *   -DNO_TIDY         ... gives the role back and does not do so
 *   -DREAP_FREES      ... frees also what the dead had published
 *   -DREAP_KEEPS      ... keeps also what the dead had not published
 *   -DREAP_STORE      ... takes the name of the dead out by a store
 *   -DSEAL_LAST       the only sender fills the slot before the word says SENT
 *   -DTAIL_FIRST      ... moves the tail before it fills the slot
 *   -DROOM_BY_SLOT    a sender fills what is empty for its round, wherever the head is
 * and this one a non-progress cycle:
 *   -DWAIT            who finds the role taken waits for it
 */
#ifndef ONE_SENDER
#define ONE_SENDER 0
#endif
#ifndef CAP
#define CAP 2
#endif
#ifndef LINE
#define LINE 2
#endif
#ifndef SENDS
#define SENDS 2
#endif
#ifndef SENDS2
#define SENDS2 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef RKILLS
#define RKILLS 0
#endif
#ifndef CLOSES
#define CLOSES 1
#endif
#ifndef NCHUNK
#define NCHUNK 3
#endif
#ifdef VICTIM
#define MORTAL(id) (id == VICTIM)	/* alone */
#else
#define MORTAL(id) true
#endif
#define N_SENDS(id) (id == 1 -> SENDS : SENDS2)
#define FREE   0
#define OWNED  1
#define SENT   2			/* value: the sender; 0 once its death was handled */
#define EMPTY  15			/* in a slot, with the round */

byte cg[NCHUNK], ck[NCHUNK], cv[NCHUNK];	/* words: generation, kind, value */
byte n_free = NCHUNK;
byte place[NCHUNK];			/* ghost: which message it is */
byte sc[CAP], sg[CAP];			/* slots: chunk and generation, or EMPTY and round */
byte head, tail;
byte sender, receiver;			/* roles */
bool killed[5], reaped[5];
byte running = 4, n_senders = 2, n_receivers = 2, kills_left = KILLS, rkills_left = RKILLS, closes_left = CLOSES;
byte nsent, nrecv, nroom;		/* ghosts: published, received, passed by the head */
bool saw_empty[5], saw_full[5];		/* ghosts: it was so at some moment of the call */

inline note() {
	if :: nsent == nrecv -> saw_empty[3] = 1; saw_empty[4] = 1 :: else fi;
	if :: nsent - nroom == CAP -> saw_full[1] = 1; saw_full[2] = 1 :: else fi
}

/* Before each access of who is mortal. */
inline die() {
#if KILLS > 0
	if
	:: kills_left > 0 && MORTAL(id) -> kills_left--; killed[id] = 1; goto dead
	:: true
	fi
#else
	skip
#endif
}

inline free_chunk(c) { ck[c] = FREE; cv[c] = 0; cg[c]++; place[c] = 0; n_free++ }

#define IS_OUT(at, h) ((at) < (h) || (at) - (h) >= CAP)	/* unsigned */
#define IS_EMPTY_BEFORE(c, g, at) (c == EMPTY && g == (at) / CAP)
#define IS_EMPTY_AFTER(c, g, at) (c == EMPTY && g == (at) / CAP + 1)
#define IS_WAITING(c, g) (ck[c] == SENT && cg[c] == g)

/* ---- senders ---- */

#ifdef NO_ROLE
#define MAY_SEND(id) true
#define MAY_RECEIVE(id) true
#else
#define MAY_SEND(id) (!ONE_SENDER || sender == id)
#define MAY_RECEIVE(id) (receiver == id)
#endif

/* What the only sender does behind its look, others before it. */
inline seal() {
	cg[c]++; g = cg[c]; ck[c] = SENT
}

proctype Sender(byte id) {
	byte n, c, g, at, h, s_c, s_g, sent_to, head_seen;
	do
	:: atomic { n == N_SENDS(id) -> break }
	:: atomic { n < N_SENDS(id) && !MAY_SEND(id) ->
		/* -EBUSY: again, some time. */
#ifdef WAIT
		if :: sender == 0 -> die(); sender = id; sent_to = 0; head_seen = 0 :: else -> skip fi
#else
		sender == 0;
		die(); sender = id; sent_to = 0; head_seen = 0
#endif
	   }
	:: n < N_SENDS(id) && MAY_SEND(id) ->
		/* Any that is free, when one is. */
		atomic {
			n_free > 0;
			do :: ck[c] == FREE -> break :: else -> c++ od;
			n_free--; ck[c] = OWNED; cv[c] = id;
			saw_full[id] = (nsent - nroom == CAP)
		};
#if !ONE_SENDER
		atomic { die(); seal() };
#endif
again:		atomic {
			die();
			at = tail; h = head_seen;
			if :: at < sent_to -> at = sent_to :: else fi
		};
look:
#ifndef ROOM_BY_SLOT
		if
		:: atomic { IS_OUT(at, h) -> die(); h = head; head_seen = h; if :: at < h -> at = h :: else fi };
			atomic {
				if
				:: IS_OUT(at, h) ->
					assert(at - h == CAP);
#ifndef SENDER_TIDIES
					assert(saw_full[id]); goto is_full
#endif
				:: else
				fi
			};
#ifdef SENDER_TIDIES
			/* tidy() of queue.c, for one slot. */
			if
			:: !IS_OUT(at, h) -> goto look_at
			:: else
			fi;
			atomic {
				die(); s_c = sc[h % CAP]; s_g = sg[h % CAP];
				if :: s_c != EMPTY && IS_WAITING(s_c, s_g) -> goto is_full :: else fi
			};
			atomic {
				die();
				if
				:: s_c != EMPTY && sc[h % CAP] == s_c && sg[h % CAP] == s_g ->
					sc[h % CAP] = EMPTY; sg[h % CAP] = h / CAP + 1
				:: else
				fi;
				s_c = 0; s_g = 0
			};
			atomic { die(); if :: head == h -> head = h + 1; nroom++ :: else fi };
			goto look
#endif
		:: else
		fi;
#endif
#ifdef SENDER_TIDIES
look_at:
#endif
		/* After the head: what stands there is not of the round before. */
		atomic {
			die(); s_c = sc[at % CAP]; s_g = sg[at % CAP];
			if
			:: IS_EMPTY_BEFORE(s_c, s_g, at) -> goto fill
#ifdef ROOM_BY_SLOT
			:: nsent - nrecv >= CAP -> goto is_full
			:: else -> at++; s_c = 0; s_g = 0; if :: at > nsent -> goto is_full :: else -> goto look fi
#else
			:: else -> at++; s_c = 0; s_g = 0; goto look
#endif
			fi
		};
fill:
#if ONE_SENDER && !defined(SEAL_LAST)
		atomic { die(); assert(ck[c] == OWNED && cv[c] == id); seal() };
#endif
#ifdef TAIL_FIRST
		atomic { die(); tail = at + 1 };
#endif
#ifdef SEAL_LAST
		g = cg[c] + 1;
#endif
		atomic {
			die();
			if
#if !ONE_SENDER
			:: sc[at % CAP] != s_c || sg[at % CAP] != s_g -> at++; s_c = 0; s_g = 0; goto look
			:: else ->
#else
			:: true ->
				assert(IS_EMPTY_BEFORE(sc[at % CAP], sg[at % CAP], at));
#endif
				assert(at == nsent);
#ifndef ROOM_BY_SLOT
				assert(nsent - nroom < CAP);
#endif
				sc[at % CAP] = c; sg[at % CAP] = g;
				place[c] = at; nsent++; note();
				at++; s_c = 0; s_g = 0
			fi
		};
#ifdef SEAL_LAST
		atomic { die(); assert(ck[c] == OWNED && cv[c] == id); seal() };
#endif
		sent_to = at;
progress_sent:	atomic {
			die();
			if
#if ONE_SENDER
			:: true -> assert(at <= nsent); tail = at
#else
			:: at % LINE == 0 && tail < at -> assert(at <= nsent); tail = at
			:: else
#endif
			fi;
			at = 0; c = 0; g = 0; h = 0; n++
		};
#if ONE_SENDER
		/* Closed, and perhaps opened again. */
		if
		:: atomic { closes_left > 0 -> die(); closes_left--; if :: sender == id -> sender = 0 :: else fi }
		:: true
		fi;
#endif
		goto next;
is_full:	atomic { at = 0; h = 0; s_c = 0; s_g = 0 };
		/* Asleep until there is room; or nobody will make any. */
progress_full:	atomic {
			if
			:: nsent - nroom < CAP -> saw_full[id] = 0; goto again
			:: n_receivers == 0 && nsent - nroom == CAP -> goto give_up
			fi
		};
give_up:	atomic { die(); free_chunk(c); break };
next:		skip
	od;
	atomic { die(); if :: sender == id -> sender = 0 :: else fi };
dead:	atomic {
		running--; n_senders--;
		n = 0; c = 0; g = 0; at = 0; h = 0; s_c = 0; s_g = 0; sent_to = 0; head_seen = 0
	}
}

/* ---- receivers ---- */

inline store_slot() {
	atomic {
		die();
		assert(sc[at % CAP] == c && sg[at % CAP] == g);
		sc[at % CAP] = EMPTY; sg[at % CAP] = at / CAP + 1
	}
}

inline store_head() {
	atomic { die(); assert(head == at); head = at + 1; nroom++ }
}

inline store_word() {
	atomic {
		die();
		assert(ck[c] == SENT && cg[c] == g && place[c] == nrecv && at == nrecv);
		cg[c] = g + 1; ck[c] = OWNED; cv[c] = id;
		nrecv++; note()
	}
}

proctype Receiver(byte id) {
	byte at, c, g;
	do
	:: atomic { !MAY_RECEIVE(id) ->
#ifdef WAIT
		if
		:: receiver == 0 -> die(); receiver = id; at = head
		:: else -> skip
		fi
#else
		if
		:: receiver == 0 -> die(); receiver = id
		:: n_senders == 0 && nsent == nrecv -> break
		fi
#endif
	   };
#ifndef PLACE_KEPT
		atomic { die(); at = head }
#endif
	:: MAY_RECEIVE(id) ->
		atomic {
			saw_empty[id] = (nsent == nrecv); skip
		};
		atomic {
			die(); c = sc[at % CAP]; g = sg[at % CAP];
			if
			:: IS_EMPTY_BEFORE(c, g, at) -> assert(saw_empty[id]); goto is_empty
			:: c == EMPTY && !IS_EMPTY_BEFORE(c, g, at) -> assert(false)
			:: else
			fi
		};
		/* Its word, to go by: nobody else moves what waits in a slot. */
		atomic { die(); assert(IS_WAITING(c, g)) };
#ifdef SLOT_FIRST
		store_slot();
		store_word();
#else
		store_word();
#ifdef HEAD_FIRST
		store_head();
#endif
		store_slot();
#endif
#ifdef CLOSE_EARLY
		if
		:: atomic { closes_left > 0 -> die(); closes_left--; receiver = 0 }
		:: true
		fi;
#endif
#ifndef HEAD_FIRST
		store_head();
#endif
progress_received:
		atomic {
			die();
			assert(ck[c] == OWNED && cv[c] == id && cg[c] == g + 1);
			free_chunk(c);
			at++; c = 0; g = 0
		};
		if
		:: atomic { closes_left > 0 -> die(); closes_left--; if :: receiver == id -> receiver = 0 :: else fi }
		:: true
		fi;
		goto next;
is_empty:	atomic { c = 0; g = 0 };
		/* Asleep until there is something, or nothing will come. */
progress_empty:	atomic {
			if
			:: nsent > nrecv
			:: nsent == nrecv && n_senders == 0 -> break
			fi
		};
next:		skip
	od;
	atomic { die(); if :: receiver == id -> receiver = 0 :: else fi };
dead:	atomic { running--; n_receivers--; at = 0; c = 0; g = 0 }
}

/* ---- the reaper ---- */

#define IS_DUE(id) (killed[id] && !reaped[id])

inline begin_again() {
#if RKILLS > 0
	if
	:: rkills_left > 0 -> rkills_left--; goto again
	:: true
	fi
#else
	skip
#endif
}

/* What the dead receiver has left at the head: a message of which it has taken the word, or a slot. */
inline tidy() {
	do
	:: atomic { begin_again(); h = head; k = sc[h % CAP]; g = sg[h % CAP];
		if
		:: IS_EMPTY_AFTER(k, g, h) -> skip
		:: k == EMPTY && !IS_EMPTY_AFTER(k, g, h) -> break
		:: else -> if :: IS_WAITING(k, g) -> break :: else fi
		fi };
		atomic {
			if
			:: k != EMPTY ->
				begin_again();
				if
				:: sc[h % CAP] == k && sg[h % CAP] == g -> sc[h % CAP] = EMPTY; sg[h % CAP] = h / CAP + 1
				:: else
				fi
			:: else
			fi
		};
		atomic { begin_again(); if :: head == h -> assert(nrecv > h); head = h + 1; nroom++ :: else fi }
	od;
	h = 0; k = 0; g = 0
}

proctype Reaper() {
	byte i, k, v, g, h, id;
again:	atomic { i = 0; k = 0; v = 0; g = 0; h = 0; id = 0 };
	do
	:: atomic { IS_DUE(1) || IS_DUE(2) || IS_DUE(3) || IS_DUE(4) ->
		id = (IS_DUE(1) -> 1 : (IS_DUE(2) -> 2 : (IS_DUE(3) -> 3 : 4))) };
#ifndef REAP_FREES
		/* What it had published stays, without its name. */
		do
		:: atomic { i == CAP -> i = 0; break }
		:: atomic { i < CAP -> begin_again(); k = sc[i]; g = sg[i] };
			atomic {
				if
				:: k != EMPTY -> begin_again(); v = (ck[k] == SENT && cv[k] == id && cg[k] == g)
				:: else
				fi
			};
			atomic {
				if
#ifdef REAP_STORE
				:: v -> begin_again(); ck[k] = SENT; cg[k] = g; cv[k] = 0
#else
				:: v -> begin_again(); if :: ck[k] == SENT && cv[k] == id && cg[k] == g -> cv[k] = 0 :: else fi
#endif
				:: else
				fi;
				i++; k = 0; g = 0; v = 0
			}
		od;
#endif
		/* What is left of it. */
		do
		:: atomic { i == NCHUNK -> i = 0; break }
		:: atomic { i < NCHUNK -> begin_again(); k = ck[i]; v = cv[i]; g = cg[i] };
			atomic {
				if
#ifdef REAP_KEEPS
				:: k == OWNED && v == id ->
#else
				:: k != FREE && v == id ->
#endif
					begin_again();
					if :: ck[i] == k && cv[i] == v && cg[i] == g -> free_chunk(i) :: else fi
				:: else
				fi;
				i++; k = 0; v = 0; g = 0
			}
		od;
#ifdef ROLE_FIRST
		atomic { v = (receiver == id); if :: v -> receiver = 0 :: else fi };
		if :: v -> tidy() :: else fi;
		v = 0;
#else
#ifndef NO_TIDY
		if
#ifdef HELP_ANY
		:: true -> tidy()
#else
		:: receiver == id -> tidy()
#endif
		:: else
		fi;
#endif
		atomic { begin_again(); if :: receiver == id -> receiver = 0 :: else fi };
#endif
		atomic { begin_again(); if :: sender == id -> sender = 0 :: else fi };
		atomic { reaped[id] = 1; id = 0 }
	:: atomic { running == 0 && !IS_DUE(1) && !IS_DUE(2) && !IS_DUE(3) && !IS_DUE(4) -> break }
	od;
	atomic {
		do
		:: i == NCHUNK -> break
		:: i < NCHUNK -> assert(ck[i] == FREE || ck[i] == SENT); v = v + (ck[i] == SENT); i++
		od;
		assert(v == nsent - nrecv && head == nrecv);
		assert(v == 0 || (killed[3] && killed[4]));
		i = nrecv;
		do
		:: i == nsent -> break
		:: i < nsent -> assert(IS_WAITING(sc[i % CAP], sg[i % CAP])); i++
		od;
		assert(sender == 0 && receiver == 0)
	}
}

init {
	atomic {
		byte i;
		do :: i < CAP -> sc[i] = EMPTY; i++ :: else -> break od;
		i = 0;
		do :: i < NCHUNK -> cg[i] = 1; i++ :: else -> break od;
		run Sender(1); run Sender(2); run Receiver(3); run Receiver(4);
		run Reaper()
	}
}
