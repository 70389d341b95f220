/* SPDX-License-Identifier: MIT */
#include "post.h"

#include "../stage.h"

static uint64_t stamp_of(uint32_t sender, uint32_t number)
{
	return UINT64_C(0x5000) + sender * 0x100 + number;
}

void post_write(const struct post *post, uint32_t sender, void *chunk)
{
	post_write_behind(post, sender, 0, chunk);
}

void post_write_behind(const struct post *post, uint32_t sender, uint32_t n_behind, void *chunk)
{
	stage_stamp(chunk, stamp_of(sender, post->n_sent[sender] + n_behind));
}

uint32_t post_read_shared(struct post *post, uint32_t receiver, const void *chunk)
{
	uint64_t stamp = *(const uint64_t *)chunk;
	uint32_t sender = (uint32_t)(stamp >> 8) & 0xf, number = (uint32_t)stamp & 0xff;

	stage_check(chunk, stamp_of(sender, number));
	explore_check(sender < EXPLORE_THREADS &&
		      number <= post->n_sent[sender] + post->n_behind[sender]);
	if (number < post->next[receiver][sender])
		explore_fail("message %u of %u comes to %u after message %u", number, sender,
			     receiver, post->next[receiver][sender] - 1);
	post->next[receiver][sender] = number + 1;
	return sender;
}

void post_read(struct post *post, uint32_t receiver, const void *chunk)
{
	uint32_t sender = post_read_shared(post, receiver, chunk);
	uint32_t number = post->next[receiver][sender] - 1;

	if (post->received[sender] >> number & 1)
		explore_fail("message %u of %u comes twice", number, sender);
	post->received[sender] |= UINT32_C(1) << number;
	post->n_received++;
}

void post_check_all(const struct post *post, uint32_t n_lost)
{
	for (uint32_t sender = 0; sender < EXPLORE_THREADS; sender++)
		for (uint32_t i = 0; i < post->n_sent[sender]; i++)
			if (!(post->received[sender] >> i & 1) && n_lost-- == 0)
				explore_fail("message %u of %u is lost", i, sender);
}
