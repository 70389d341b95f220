/* SPDX-License-Identifier: MIT */
/* Two who talk on one topic, each of them told what the other one says. */
#include <errno.h>
#include <error.h>
#include <mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct talker {
	const char *name;
	struct mempool_client *client;
	struct mempool_topic *topic;
	struct mempool_subscriber *others;
};

static void begin(struct talker *talker, const char *name)
{
	const struct mempool_subscribe_options others = {
		.size = sizeof(others),
		.start = MEMPOOL_TOPIC_NEW,
		.flags = MEMPOOL_SUBSCRIBE_OTHERS,
	};
	int r;

	*talker = (struct talker){ .name = name };
	r = mempool_client_open(NULL, &talker->client);
	if (r == 0)
		r = mempool_topic_open(talker->client, "camera", &talker->topic);
	if (r == 0)
		r = mempool_topic_subscribe_with(talker->topic, &others, &talker->others);
	if (r < 0)
		error(EXIT_FAILURE, -r, "cannot subscribe");
}

static void say(struct talker *talker, const char *what)
{
	char *text = mempool_alloc(talker->client, strlen(what) + 1);
	int r;

	if (!text)
		error(EXIT_FAILURE, errno, "mempool_alloc");
	strcpy(text, what);
	r = mempool_topic_publish(talker->topic, text, strlen(what) + 1);
	if (r < 0)
		error(EXIT_FAILURE, -r, "mempool_topic_publish");
}

static void hear(struct talker *talker)
{
	const void *text;

	while (mempool_subscriber_next(talker->others, &text, NULL, NULL, 0) == 0) {
		printf("%s hears: %s\n", talker->name, (const char *)text);
		mempool_free(talker->client, text);
	}
}

static void end(struct talker *talker)
{
	mempool_subscriber_close(talker->others);
	mempool_topic_close(talker->topic);
	mempool_client_close(talker->client);
}

int main(void)
{
	struct talker ann, bob;

	begin(&ann, "Ann");
	begin(&bob, "Bob");
	say(&ann, "are you there?");
	say(&bob, "yes");
	hear(&ann);
	hear(&bob);
	end(&ann);
	end(&bob);
	return EXIT_SUCCESS;
}
