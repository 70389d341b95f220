/* SPDX-License-Identifier: MIT */
/*
 * dlopen.c - loads the library when it runs already, and then uses it in two threads
 *
 *	dlopen LIBRARY SEGMENT		gives a message, prints its handle, and keeps two chunks
 *	dlopen LIBRARY SEGMENT HANDLE	takes that message, and prints it
 */
#include <dlfcn.h>
#include <mempool.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static __typeof__(&mempool_client_open) client_open;
static __typeof__(&mempool_client_close) client_close;
static __typeof__(&mempool_alloc) alloc;
static __typeof__(&mempool_give) give;
static __typeof__(&mempool_take) take;
static __typeof__(&mempool_free) free_chunk;

static struct mempool_client *client;

static void die(const char *what)
{
	fprintf(stderr, "dlopen: %s\n", what);
	exit(1);
}

static void load(const char *path)
{
	void *library = dlopen(path, RTLD_NOW);

	if (!library)
		die(dlerror());
	client_open = (__typeof__(client_open))dlsym(library, "mempool_client_open");
	client_close = (__typeof__(client_close))dlsym(library, "mempool_client_close");
	alloc = (__typeof__(alloc))dlsym(library, "mempool_alloc");
	give = (__typeof__(give))dlsym(library, "mempool_give");
	take = (__typeof__(take))dlsym(library, "mempool_take");
	free_chunk = (__typeof__(free_chunk))dlsym(library, "mempool_free");
	if (!client_open || !client_close || !alloc || !give || !take || !free_chunk)
		die("a function is missing");
}

/* A cache of its own: it pairs, and leaves one chunk. */
static void *keep_one(void *unused)
{
	for (int i = 0; i < 1000; i++)
		if (free_chunk(client, alloc(client, 100)) < 0)
			die("free");
	return alloc(client, 100) ? client : unused;
}

int main(int argc, char **argv)
{
	struct mempool_client_options options = { .size = sizeof(options) };
	pthread_t thread;
	uint64_t handle;
	void *chunk, *result;
	size_t length;

	if (argc < 3)
		die("LIBRARY SEGMENT [HANDLE]");
	load(argv[1]);
	options.segment = argv[2];
	if (client_open(&options, &client) < 0)
		die("open");
	if (argc > 3) {
		if (take(client, strtoull(argv[3], NULL, 10), &chunk, &length) < 0)
			die("take");
		printf("%.*s\n", (int)length, (char *)chunk);
		return client_close(client) == 1 ? 0 : 1;
	}
	chunk = alloc(client, 100);
	if (!chunk || pthread_create(&thread, NULL, keep_one, NULL) != 0 ||
	    pthread_join(thread, &result) != 0 || !result || !alloc(client, 1000))
		die("alloc");
	memcpy(chunk, "from musl", 9);
	if (give(client, chunk, 9, &handle) < 0)
		die("give");
	printf("%llu\n", (unsigned long long)handle);
	fflush(stdout);
	pause();
	return 0;
}
