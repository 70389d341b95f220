/* SPDX-License-Identifier: MIT */
/*
 * fuzz-config.c - any text as the config file
 *
 * input: the text. It must load, or be refused with a place that lies in it and a text.
 * What loads can be laid out.
 */
#include <errno.h>
#include <string.h>

#include "daemon/config/conf.h"
#include "fuzz.h"

/* Mistakes are put into words for a person: no line longer than its source. */
static void check_error(const struct conf_error *error, size_t size)
{
	char *text = conf_error_format(error);

	FUZZ_CHECK(error->path && error->text && error->text[0] != '\0');
	FUZZ_CHECK(error->line <= size + 1);
	FUZZ_CHECK(text && strstr(text, error->text));
	free(text);
}

static void on_warning(const struct conf_error *warning, void *userdata)
{
	check_error(warning, *(const size_t *)userdata);
}

static void check_conf(const struct conf *conf)
{
	FUZZ_CHECK(conf->n_segments > 0 && conf->socket_path && conf->socket_path[0] == '/');
	for (size_t i = 0; i < conf->n_segments; i++) {
		const struct conf_segment *segment = &conf->segments[i];

		FUZZ_CHECK(config_check(&segment->shape, NULL) == 0);
		FUZZ_CHECK(segment_size_bytes(&segment->shape) > 0);
		FUZZ_CHECK(!segment->allow.anybody ||
			   (segment->allow.n_users == 0 && segment->allow.n_groups == 0));
	}
	conf_access_allows(&conf->admin, 0, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_error error = { .line = 0 };
	struct conf *conf = NULL;
	int r = conf_load_memory("mempool.yaml", (const char *)data, size, on_warning, &size,
				 &conf, &error);

	FUZZ_CHECK(r == 0 || r == -EINVAL);
	if (r == 0) {
		check_conf(conf);
	} else {
		FUZZ_CHECK(!conf);
		check_error(&error, size);
	}
	conf_free(conf);
	conf_error_deinit(&error);
	return 0;
}
