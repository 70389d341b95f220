/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - what it costs to have a mempoold, with the pools of the installed config
 *
 *	start to READY	fork and exec to READY=1, with a segment to make, and with one to adopt
 *	attach, close	mempool_client_open() and mempool_client_close() in one process
 *	memory		RssAnon of the daemon, with no client, and with a hundred
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mempool.h"
#include "sample.h"
#include "support/private_daemon.h"

#define STARTS 20
#define ATTACHES 1000
#define CLIENTS 100

static struct mempool_client *open_client(const struct private_daemon *daemon)
{
	const struct mempool_client_options options = {
		.size = sizeof(options),
		.socket_path = daemon->socket_path,
	};
	struct mempool_client *client;
	int r = mempool_client_open(&options, &client);

	if (r < 0)
		die("open: %s", strerror(-r));
	return client;
}

static void measure_starts(struct private_daemon *daemon)
{
	struct sample *made = calloc(2, sizeof(*made)), *adopted = made + 1;

	if (!made)
		die("no memory");
	for (int i = 0; i < STARTS; i++) {
		sample_add(made, private_daemon_start(daemon));
		private_daemon_stop(daemon);
		sample_add(adopted, private_daemon_start(daemon));
		private_daemon_stop(daemon);
		private_daemon_remove_objects(daemon);
	}
	sample_print(made, "start to READY, segment made", 1e3, "ms");
	sample_print(adopted, "start to READY, segment adopted", 1e3, "ms");
	free(made);
}

static void measure_attaches(const struct private_daemon *daemon)
{
	struct sample *opens = calloc(2, sizeof(*opens)), *closes = opens + 1;

	if (!opens)
		die("no memory");
	for (int i = 0; i < ATTACHES; i++) {
		double begin = seconds_now(), middle;
		struct mempool_client *client = open_client(daemon);

		middle = seconds_now();
		mempool_client_close(client);
		sample_add(opens, middle - begin);
		sample_add(closes, seconds_now() - middle);
	}
	sample_print(opens, "attach", 1e6, "us");
	sample_print(closes, "close", 1e6, "us");
	free(opens);
}

static double rss_anon_mib(const struct private_daemon *daemon)
{
	char path[32], line[256];
	double kib = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon->pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "RssAnon:", 8) == 0)
			kib = strtod(line + 8, NULL);
	if (!file || kib < 0)
		die("no RssAnon in %s", path);
	fclose(file);
	return kib / 1024;
}

static void measure_memory(const struct private_daemon *daemon)
{
	struct mempool_client *clients[CLIENTS];
	double alone = rss_anon_mib(daemon);

	for (int i = 0; i < CLIENTS; i++)
		clients[i] = open_client(daemon);
	printf("%-44s %.2f MiB; with %d clients %.2f MiB\n", "RssAnon of the daemon", alone,
	       CLIENTS, rss_anon_mib(daemon));
	for (int i = 0; i < CLIENTS; i++)
		mempool_client_close(clients[i]);
}

int main(void)
{
	struct private_daemon daemon;

	private_daemon_init(&daemon, private_daemon_guide_pools);
	measure_starts(&daemon);
	private_daemon_start(&daemon);
	measure_memory(&daemon);
	measure_attaches(&daemon);
	private_daemon_stop(&daemon);
	private_daemon_deinit(&daemon);
	return 0;
}
