/* SPDX-License-Identifier: MIT */
/*
 * namesakes.c - what a program may have of its own by the names of the library's functions
 *
 * The program exports them, so that the dynamic linker finds them before the library's. They do
 * not know mempool.h, and mean something else.
 */
int mempool_alloc(int a, int b);
int mempool_free(void);
int mempool_alloc_aligned(void);
int mempool_give(void);
int mempool_take(void);
int mempool_share(void);
int mempool_acquire(void);
int mempool_queue_send(void);
int mempool_queue_receive(void);
int mempool_usable_size(void);
int mempool_client_is_stale(void);
int n_namesakes_called(void);

static int n_called;

/* Visible although the rest of this program is not: as in one that is built without our flags. */
#pragma GCC visibility push(default)

int mempool_alloc(int a, int b)
{
	n_called++;
	return a + b;
}

#define NAMESAKE(name)                                                                             \
	int name(void)                                                                             \
	{                                                                                          \
		return ++n_called;                                                                 \
	}
NAMESAKE(mempool_free)
NAMESAKE(mempool_alloc_aligned)
NAMESAKE(mempool_give)
NAMESAKE(mempool_take)
NAMESAKE(mempool_share)
NAMESAKE(mempool_acquire)
NAMESAKE(mempool_queue_send)
NAMESAKE(mempool_queue_receive)
NAMESAKE(mempool_usable_size)
NAMESAKE(mempool_client_is_stale)

#pragma GCC visibility pop

int n_namesakes_called(void)
{
	return n_called;
}
