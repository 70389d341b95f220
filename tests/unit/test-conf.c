/* SPDX-License-Identifier: MIT */
/*
 * test-conf.c - whole configs: what they come to, and what is said about wrong ones
 *
 * tests/conf/ has one file for each class of mistake. bad-X.yaml must be refused with
 * just the text of bad-X.expected; warn-X.yaml must load with just the warnings of
 * warn-X.expected; good-X.yaml must load without a word.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/base/machine.h"
#include "daemon/config/conf.h"
#include "daemon/config/dump.h"
#include "shm/segment.h"

#define MAX_TEXT_BYTES (4u << 20)

/* A text that grows; the warnings of a load, or a file. */
struct string {
	char *text;
	size_t size;
};

static void append(struct string *string, const char *text, size_t size)
{
	string->text = realloc(string->text, string->size + size + 1);
	ck_assert_ptr_nonnull(string->text);
	memcpy(string->text + string->size, text, size);
	string->size += size;
	string->text[string->size] = '\0';
}

static void append_error(const struct conf_error *error, void *userdata)
{
	char *formatted = conf_error_format(error);

	ck_assert_ptr_nonnull(formatted);
	append(userdata, formatted, strlen(formatted));
	append(userdata, "\n", 1);
	free(formatted);
}

static struct string read_all(const char *path)
{
	struct string string = { 0 };
	char *buffer = malloc(MAX_TEXT_BYTES);
	FILE *file = fopen(path, "r");

	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	append(&string, buffer, fread(buffer, 1, MAX_TEXT_BYTES, file));
	fclose(file);
	free(buffer);
	return string;
}

/* All that is said while loading, to be freed. */
static char *load_words(const char *path, int expected)
{
	struct string words = { 0 };
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	int r;

	append(&words, "", 0);
	r = conf_load(path, append_error, &words, &conf, &error);
	if (r < 0) {
		append_error(&error, &words);
		conf_error_deinit(&error);
		ck_assert_ptr_null(conf);
	}
	ck_assert_msg(r == expected, "%s: %d\n%s", path, r, words.text);
	conf_free(conf);
	return words.text;
}

/* Each file that matches; the words must be those beside it, or none. */
static void assert_files(const char *pattern, int expected)
{
	glob_t files;
	size_t length;
	char path[256];
	struct string wanted;
	char *words;

	ck_assert_int_eq(glob(pattern, 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		length = strlen(files.gl_pathv[i]) - strlen(".yaml");
		snprintf(path, sizeof(path), "%.*s.expected", (int)length,
			 files.gl_pathv[i]);

		words = load_words(files.gl_pathv[i], expected);
		wanted = (struct string){ 0 };
		append(&wanted, "", 0);
		if (strncmp(pattern, "good", 4) != 0) {
			free(wanted.text);
			wanted = read_all(path);
		}
		ck_assert_msg(strcmp(words, wanted.text) == 0,
			      "%s\nsaid:\n%s\nexpected:\n%s", files.gl_pathv[i], words,
			      wanted.text);
		free(wanted.text);
		free(words);
	}
	globfree(&files);
}

static struct conf *load_text(const char *text)
{
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	char *formatted;
	int r;

	r = conf_load_memory("text", text, strlen(text), NULL, NULL, &conf, &error);
	if (r < 0) {
		formatted = conf_error_format(&error);
		ck_abort_msg("%s", formatted);
	}
	return conf;
}

static void assert_load_fails(const char *path, int expected, const char *text)
{
	char *words = load_words(path, expected);

	ck_assert_str_eq(words, text);
	free(words);
}

START_TEST(test_load_good_files_silent)
{
	assert_files("good-*.yaml", 0);
}
END_TEST

START_TEST(test_load_bad_files_say_where)
{
	assert_files("bad-*.yaml", -EINVAL);
}
END_TEST

START_TEST(test_load_doubtful_files_warn)
{
	assert_files("warn-*.yaml", 0);
}
END_TEST

START_TEST(test_load_without_callback_no_warning)
{
	struct conf_error error = { 0 };
	struct conf *conf = NULL;

	ck_assert_int_eq(conf_load("warn-pools-order.yaml", NULL, NULL, &conf, &error),
			 0);
	ck_assert_ptr_null(error.text);
	conf_free(conf);
}
END_TEST

START_TEST(test_load_minimal_has_defaults)
{
	struct conf_error error = { 0 };
	const struct conf_segment *segment;
	struct conf *conf = NULL;

	ck_assert_int_eq(conf_load("good-minimal.yaml", NULL, NULL, &conf, &error), 0);
	ck_assert_str_eq(conf->path, "good-minimal.yaml");
	ck_assert_str_eq(conf->socket_path, "/run/mempool/mempoold.sock");
	ck_assert_uint_eq(conf->socket_mode, 0660);
	ck_assert_uint_eq(conf->socket_group, (gid_t)-1);
	ck_assert_uint_eq(conf->max_clients, 1024);
	ck_assert_uint_eq(conf->max_clients_per_user, 256);
	ck_assert_uint_eq(conf->hello_timeout_ns, UINT64_C(5000000000));
	ck_assert_uint_eq(conf->admin.n_users, 0);
	ck_assert_uint_eq(conf->admin.n_groups, 0);
	ck_assert_int_eq(conf->log_level, LOG_INFO);

	ck_assert_uint_eq(conf->n_segments, 1);
	segment = &conf->segments[0];
	ck_assert_str_eq(segment->shape.name, "default");
	ck_assert_uint_eq(segment->line, 2);
	ck_assert(conf_access_is_empty(&segment->allow));
	ck_assert(conf_access_is_empty(&segment->readers));
	ck_assert(conf_access_is_empty(&segment->spectators));
	ck_assert_int_eq(segment->open_mode, SEGMENT_OPEN_OR_CREATE);
	ck_assert(segment->plain_claims);
	ck_assert_int_eq(segment->backing, SEGMENT_SHM);
	ck_assert_uint_eq(segment->shape.max_clients, CONFIG_DEFAULT_MAX_CLIENTS);
	ck_assert(segment->shape.fallback);
	ck_assert_uint_eq(segment->shape.n_rings, 0);
	ck_assert_uint_eq(segment->shape.n_pools, 1);
	ck_assert_uint_eq(segment->shape.pools[0].chunk_size, 128);
	ck_assert_uint_eq(segment->shape.pools[0].n_chunks, 10);
	ck_assert_uint_eq(segment->shape.pools[0].alignment, CONFIG_DEFAULT_ALIGNMENT);
	ck_assert_uint_eq(segment->shape.pools[0].cache, CONFIG_DEFAULT_CACHE);
	conf_free(conf);
}
END_TEST

/* Those of good-everything.yaml: the first rule that names a client, else what is for all. */
static void assert_bounds(const struct conf_bounds *bounds)
{
	static const gid_t groups[] = { 5, 18 };
	const struct holder_bound *bound;

	ck_assert_uint_eq(bounds->n_rules, 2);
	bound = conf_bounds_of(bounds, 77, groups, 1);
	ck_assert_uint_eq(bound->max_chunks, 1000);
	ck_assert_uint_eq(bound->max_bytes, 1 << 20);
	bound = conf_bounds_of(bounds, 1005, groups, 1);
	ck_assert_uint_eq(bound->max_chunks, 20);
	ck_assert_uint_eq(bound->max_bytes, 4096);
	bound = conf_bounds_of(bounds, 0, groups, 2);
	ck_assert_uint_eq(bound->max_chunks, 20);
	/* A rule says all that there is for whom it names. */
	bound = conf_bounds_of(bounds, 0, groups, 1);
	ck_assert_uint_eq(bound->max_chunks, 0);
	ck_assert_uint_eq(bound->max_bytes, 0);
}

START_TEST(test_load_everything_is_read)
{
	struct conf_error error = { 0 };
	const struct conf_segment *segment;
	struct conf *conf = NULL;

	ck_assert_int_eq(conf_load("good-everything.yaml", NULL, NULL, &conf, &error), 0);
	ck_assert_str_eq(conf->socket_path, "/tmp/other.sock");
	ck_assert_uint_eq(conf->socket_mode, 0600);
	ck_assert_uint_eq(conf->socket_group, 12);
	ck_assert_uint_eq(conf->max_clients, 10);
	ck_assert_uint_eq(conf->max_clients_per_user, 5);
	ck_assert_uint_eq(conf->hello_timeout_ns, 500000000);
	ck_assert_uint_eq(conf->admin.n_users, 2);
	ck_assert_uint_eq(conf->admin.users[0], 0);
	ck_assert_uint_eq(conf->admin.users[1], 1001);
	ck_assert_uint_eq(conf->admin.n_groups, 2);
	ck_assert_uint_eq(conf->admin.groups[1], 1002);
	ck_assert_str_eq(conf->state_dir, "/tmp/state");
	ck_assert_str_eq(conf->house, "second");
	ck_assert_int_eq(conf->log_level, LOG_DEBUG);

	ck_assert_uint_eq(conf->n_segments, 2);
	segment = &conf->segments[0];
	ck_assert_str_eq(segment->shape.name, "first");
	ck_assert_uint_eq(segment->line, 13);
	ck_assert(!segment->allow.anybody);
	ck_assert_uint_eq(segment->allow.n_users, 2);
	ck_assert_uint_eq(segment->allow.users[0], 1003);
	ck_assert_uint_eq(segment->allow.n_groups, 1);
	ck_assert_uint_eq(segment->allow.groups[0], 14);
	ck_assert(!segment->readers.anybody);
	ck_assert_uint_eq(segment->readers.n_users, 1);
	ck_assert_uint_eq(segment->readers.users[0], 1004);
	ck_assert_uint_eq(segment->readers.n_groups, 1);
	ck_assert_uint_eq(segment->readers.groups[0], 16);
	ck_assert(!segment->spectators.anybody);
	ck_assert_uint_eq(segment->spectators.n_users, 0);
	ck_assert_uint_eq(segment->spectators.n_groups, 1);
	ck_assert_uint_eq(segment->spectators.groups[0], 15);
	assert_bounds(&segment->bounds);
	ck_assert_int_eq(segment->open_mode, SEGMENT_PURGE_AND_CREATE);
	ck_assert_int_eq(segment->backing, SEGMENT_MEMFD);
	ck_assert_uint_eq(segment->shape.max_clients, 70);
	ck_assert(!segment->shape.fallback);
	ck_assert(segment->shape.traces);
	ck_assert(!segment->plain_claims);
	ck_assert(segment->pages.prefault);
	ck_assert(segment->pages.lock);
	ck_assert_uint_eq(segment->pages.huge_bytes, 2 << 20);
	ck_assert_uint_eq(segment->shape.data_align, 2 << 20);
	ck_assert_int_eq(segment->pages.policy, PAGES_INTERLEAVE);
	ck_assert_uint_eq(segment->pages.nodes[0], 1);
	ck_assert_uint_eq(segment->pages.nodes[1], 2);
	ck_assert_uint_eq(segment->pages.nodes[15], UINT64_C(1) << 63);
	/* The reserve of the second one is a third. */
	ck_assert_uint_eq(segment->shape.n_pools, 3);
	for (int i = 1; i < 3; i++) {
		ck_assert_uint_eq(segment->shape.pools[i].chunk_size, 1024);
		ck_assert_uint_eq(segment->shape.pools[i].alignment, 4096);
		ck_assert_uint_eq(segment->shape.pools[i].cache, 0);
		ck_assert_int_eq(segment->shape.pools[i].is_reserve, i == 2);
		ck_assert(segment->shape.pools[i].is_exclusive);
	}
	ck_assert(!segment->shape.pools[0].is_exclusive);
	ck_assert_uint_eq(segment->shape.pools[1].n_chunks, 512);
	ck_assert_uint_eq(segment->shape.pools[2].n_chunks, 512);
	ck_assert(conf_access_is_empty(&segment->reserves[1]));
	ck_assert_uint_eq(segment->reserves[2].n_users, 1);
	ck_assert_uint_eq(segment->reserves[2].users[0], 1005);
	ck_assert_uint_eq(segment->reserves[2].n_groups, 1);
	ck_assert_uint_eq(segment->reserves[2].groups[0], 17);
	ck_assert_uint_eq(segment->shape.n_rings, 5);
	ck_assert_str_eq(segment->shape.rings[0].name, "q1");
	ck_assert_int_eq(segment->shape.rings[0].kind, MEMPOOL_RING_QUEUE);
	ck_assert_uint_eq(segment->shape.rings[0].capacity, 16);
	ck_assert_uint_eq(segment->shape.rings[0].flags, 0);
	ck_assert_uint_eq(segment->shape.rings[1].flags, MEMPOOL_RING_STAMPS);
	ck_assert_uint_eq(segment->shape.rings[2].flags,
			  MEMPOOL_RING_ONE_SENDER | MEMPOOL_RING_ONE_RECEIVER);
	ck_assert_uint_eq(segment->shape.rings[2].slot_bytes, 0);
	ck_assert_uint_eq(segment->shape.rings[3].flags, 0);
	ck_assert_str_eq(segment->shape.rings[4].name, "t1");
	ck_assert_int_eq(segment->shape.rings[4].kind, MEMPOOL_RING_TOPIC);
	ck_assert_uint_eq(segment->shape.rings[4].flags, MEMPOOL_RING_HOLDS);

	ck_assert_str_eq(conf->segments[1].shape.name, "second");
	ck_assert(conf_access_is_empty(&conf->segments[1].allow));
	ck_assert_uint_eq(conf->segments[1].bounds.n_rules, 0);
	ck_assert_uint_eq(conf->segments[1].bounds.all.max_chunks, 0);
	ck_assert_uint_eq(conf->segments[1].bounds.all.max_bytes, 0);
	ck_assert(conf->segments[1].spectators.anybody);
	ck_assert_int_eq(conf->segments[1].open_mode, SEGMENT_CREATE);
	ck_assert_int_eq(conf->segments[1].backing, SEGMENT_SHM);
	ck_assert(!conf->segments[1].pages.prefault && !conf->segments[1].pages.lock);
	ck_assert_uint_eq(conf->segments[1].pages.huge_bytes, 0);
	ck_assert_int_eq(conf->segments[1].pages.policy, PAGES_ANYWHERE);
	ck_assert_uint_eq(conf->segments[1].shape.pools[0].chunk_size, 1u << 20);
	ck_assert_uint_eq(conf->segments[1].shape.n_rings, 1);
	ck_assert_uint_eq(conf->segments[1].shape.rings[0].slot_bytes, 1024);
	ck_assert_uint_eq(conf->segments[1].shape.rings[0].flags, CONFIG_SLOTS_NEED);
	conf_free(conf);
}
END_TEST

static char *dump(const struct conf *conf, bool as_json)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);
	char *text = calloc(1, 65536);

	ck_assert_ptr_nonnull(text);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(conf_dump(conf, as_json, fd), 0);
	ck_assert_int_gt(pread(fd, text, 65535, 0), 0);
	close(fd);
	return text;
}

/* As YAML and as JSON: the same conf, and so the same text again. */
START_TEST(test_dump_loads_again)
{
	struct conf_error error;
	struct conf *conf, *again;
	char *text, *second;

	ck_assert_int_eq(conf_load("good-everything.yaml", NULL, NULL, &conf, &error), 0);
	text = dump(conf, _i);
	ck_assert_int_eq(conf_load_memory("dump", text, strlen(text), NULL, NULL, &again,
					  &error), 0);
	ck_assert_uint_eq(again->n_segments, conf->n_segments);
	ck_assert_uint_eq(segment_size_bytes(&again->segments[0].shape),
			  segment_size_bytes(&conf->segments[0].shape));
	second = dump(again, _i);
	ck_assert_str_eq(text, second);
	free(text);
	free(second);
	conf_free(conf);
	conf_free(again);
}
END_TEST

START_TEST(test_load_more_than_memory_warns)
{
	static const char text[] = "segments: [ { name: a, pools: [ { chunk_size: 1GiB,\n"
				   "chunk_count: 1048576 } ] } ]";
	struct conf_error error = { 0 };
	struct string words = { 0 };
	struct conf *conf = NULL;

	ck_assert_int_eq(conf_load_memory("text", text, strlen(text), append_error,
					  &words, &conf, &error),
			 0);
	ck_assert_msg(strncmp(words.text, "text:1:11: all segments together take 10737",
			      43) == 0,
		      "%s", words.text);
	conf_free(conf);
	free(words.text);
}
END_TEST

START_TEST(test_load_missing_file_enoent)
{
	assert_load_fails("no-such-file", -ENOENT,
			  "no-such-file: cannot be read: No such file or directory\n");
}
END_TEST

START_TEST(test_load_huge_file_refused)
{
	char path[] = "/tmp/test-conf-XXXXXX", expected[128];
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, 2 << 20), 0);
	close(fd);
	snprintf(expected, sizeof(expected), "%s: larger than 1 MiB: is it the right file?\n", path);
	assert_load_fails(path, -EINVAL, expected);
	unlink(path);
}
END_TEST

START_TEST(test_load_unreadable_file_eacces)
{
	char path[] = "/tmp/test-conf-XXXXXX";
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	int fd = mkstemp(path), r;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0), 0);
	/* Root may read anything; the case runs in a process of its own. */
	if (geteuid() == 0)
		ck_assert_int_eq(seteuid(65534), 0);
	r = conf_load(path, NULL, NULL, &conf, &error);
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	unlink(path);
	close(fd);
	ck_assert_int_eq(r, -EACCES);
	ck_assert_str_eq(error.text, "cannot be read: Permission denied");
	conf_error_deinit(&error);
}
END_TEST

/* Whoever loads it may have to load it again. To look at it, once is enough. */
START_TEST(test_load_pipe_is_read_once)
{
	struct conf_error error = { 0 };
	struct conf *conf = NULL;
	char path[64], expected[128];
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(dprintf(fds[1], "segments: [ { name: a, "), 23);
	ck_assert_int_eq(
		dprintf(fds[1], "pools: [ { chunk_size: 1, chunk_count: 1 } ] } ]"), 48);
	close(fds[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
	snprintf(expected, sizeof(expected), "%s: is a pipe, and no file\n", path);
	assert_load_fails(path, -EINVAL, expected);
	ck_assert_int_eq(conf_load_once(path, NULL, NULL, &conf, &error), 0);
	ck_assert_uint_eq(conf->n_segments, 1);
	conf_free(conf);
	close(fds[0]);
}
END_TEST

/* Opening one of these may wait for ever, or do something. */
START_TEST(test_load_no_file_is_not_opened)
{
	char folder[] = "/tmp/test-conf-XXXXXX", expected[256];
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct conf_error error = { 0 };
	struct conf *conf = NULL;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(expected, sizeof(expected), "%s: is a directory, and no file\n", folder);
	assert_load_fails(folder, -EINVAL, expected);
	assert_load_fails("/dev/zero", -EINVAL, "/dev/zero: is a device, and no file\n");

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/x", folder);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	snprintf(expected, sizeof(expected), "%s: is a socket, and no file\n", address.sun_path);
	assert_load_fails(address.sun_path, -EINVAL, expected);
	close(fd);
	unlink(address.sun_path);

	ck_assert_int_eq(mkfifo(address.sun_path, 0600), 0);
	snprintf(expected, sizeof(expected), "%s: is a pipe, and no file\n", address.sun_path);
	assert_load_fails(address.sun_path, -EINVAL, expected);
	/* With a name in a file system it may never have had a writer. */
	ck_assert_int_eq(conf_load_once(address.sun_path, NULL, NULL, &conf, &error), -EINVAL);
	ck_assert_str_eq(error.text, "is a pipe, and no file");
	conf_error_deinit(&error);
	unlink(address.sun_path);
	rmdir(folder);
}
END_TEST

/* Cut anywhere, it is a config or it is not, but never a crash or a leak. */
START_TEST(test_load_memory_every_beginning)
{
	struct string file = read_all("good-everything.yaml");
	struct conf_error error;
	struct conf *conf;
	char *cut;
	int r;

	for (size_t size = 0; size <= file.size; size++) {
		cut = malloc(size ? size : 1);
		memcpy(cut, file.text, size);
		r = conf_load_memory("cut", cut, size, NULL, NULL, &conf, &error);
		if (r == 0) {
			conf_free(conf);
		} else {
			ck_assert_int_eq(r, -EINVAL);
			ck_assert_ptr_nonnull(error.text);
			free(conf_error_format(&error));
			conf_error_deinit(&error);
		}
		free(cut);
	}
	free(file.text);
}
END_TEST

/* As many segments as a file of the largest size has room for must not take forever. */
START_TEST(test_load_memory_large_in_time)
{
	struct string text = { 0 };
	FILE *file = open_memstream(&text.text, &text.size);
	struct conf *conf;

	fputs("segments:\n", file);
	for (int i = 0; i < 16000; i++)
		fprintf(file,
			"- { name: s%d, pools: [ { chunk_size: 1, chunk_count: 1 } ] }\n",
			i);
	fclose(file);
	conf = load_text(text.text);
	ck_assert_uint_eq(conf->n_segments, 16000);
	conf_free(conf);
	free(text.text);
}
END_TEST

/* One queue more than a segment may have; the text is nearly as long as it may be. */
START_TEST(test_load_memory_too_many_queues_refused)
{
	struct string text = { 0 };
	FILE *file = open_memstream(&text.text, &text.size);
	struct conf_error error = { 0 };
	struct conf *conf;
	int r;

	fputs("segments:\n- name: a\n  pools: [ { chunk_size: 1, chunk_count: 1 } ]\n"
	      "  queues:\n",
	      file);
	for (unsigned int i = 0; i <= MEMPOOL_MAX_RINGS; i++)
		fprintf(file, "  - {name: q%u, capacity: 1}\n", i);
	fclose(file);
	r = conf_load_memory("text", text.text, text.size, NULL, NULL, &conf, &error);
	ck_assert_int_eq(r, -EINVAL);
	ck_assert_uint_eq(error.line, 5 + MEMPOOL_MAX_RINGS);
	ck_assert_str_eq(error.text,
			 "too many: a segment has at most 32767 queues and topics");
	conf_error_deinit(&error);
	free(text.text);
}
END_TEST

/* The installed one, for a machine where the group is yet to be made. */
static struct string installed_config(void)
{
	struct string file = read_all(INSTALLED_CONFIG), text = { 0 };
	char *p, *next;

	for (p = file.text; (next = strstr(p, "group: mempool")); p = next + 14) {
		append(&text, p, (size_t)(next - p));
		append(&text, "group: 4711", 11);
	}
	append(&text, p, strlen(p));
	free(file.text);

	file = text;
	text = (struct string){ 0 };
	for (p = file.text; (next = strstr(p, "groups: [mempool]")); p = next + 17) {
		append(&text, p, (size_t)(next - p));
		append(&text, "groups: [4711]", 14);
	}
	append(&text, p, strlen(p));
	free(file.text);
	return text;
}

static void assert_guide(const struct conf *conf)
{
	const struct config *shape = &conf->segments[0].shape;

	ck_assert_uint_eq(conf->n_segments, 1);
	ck_assert_str_eq(shape->name, "default");
	ck_assert_uint_ge(shape->n_pools, 3);
	ck_assert_uint_eq(shape->pools[0].chunk_size, 128);
	ck_assert_uint_eq(shape->pools[0].n_chunks, 10000);
	ck_assert_uint_eq(shape->pools[1].chunk_size, 1024);
	ck_assert_uint_eq(shape->pools[1].n_chunks, 5000);
	ck_assert_uint_eq(shape->pools[2].chunk_size, 4096);
	ck_assert_uint_eq(shape->pools[2].n_chunks, 1000);
}

START_TEST(test_installed_config_is_the_guides)
{
	struct string text = installed_config();
	struct conf *conf = load_text(text.text);

	assert_guide(conf);
	ck_assert_uint_eq(conf->segments[0].shape.n_pools, 3);
	ck_assert_uint_eq(conf->segments[0].shape.n_rings, 0);
	ck_assert_uint_eq(conf->socket_group, 4711);
	ck_assert(!conf->segments[0].allow.anybody);
	ck_assert_uint_eq(conf->segments[0].allow.n_users, 0);
	ck_assert_uint_eq(conf->segments[0].allow.n_groups, 1);
	ck_assert_uint_eq(conf->segments[0].allow.groups[0], 4711);
	conf_free(conf);
	free(text.text);
}
END_TEST

/* "  #key: value" and "  #- { item }" without the #; prose has a space behind its. */
static char *next_example(char *p)
{
	for (; *p; p++)
		if (*p == '#' && p[1] && !strchr(" #\t\n", p[1]))
			return p;
	return NULL;
}

static void uncomment(char *hash)
{
	memmove(hash, hash + 1, strlen(hash));
}

START_TEST(test_installed_config_each_example_loads)
{
	struct string text = installed_config();
	struct conf_error error = { 0 };
	struct string words = { 0 };
	size_t n_examples = 0;
	struct conf *conf;
	char *copy, *p;
	int r;

	append(&words, "", 0);
	for (p = text.text; (p = next_example(p)); p++) {
		copy = strdup(text.text);
		uncomment(copy + (p - text.text));
		r = conf_load_memory("mempool.yaml", copy, strlen(copy), append_error,
				     &words, &conf, &error);
		if (r < 0)
			append_error(&error, &words);
		ck_assert_str_eq(words.text, "");
		assert_guide(conf);
		conf_free(conf);
		free(copy);
		n_examples++;
	}
	ck_assert_uint_eq(n_examples, 26);
	free(words.text);
	free(text.text);
}
END_TEST

START_TEST(test_installed_config_all_examples_load)
{
	struct string text = installed_config();
	struct conf *conf;
	char *p;

	for (p = text.text; (p = next_example(p)); p++)
		uncomment(p);
	conf = load_text(text.text);
	assert_guide(conf);
	ck_assert_uint_eq(conf->segments[0].shape.n_pools, 6);
	ck_assert_uint_eq(conf->segments[0].shape.n_rings, 3);
	ck_assert(!conf->segments[0].allow.anybody);
	conf_free(conf);
	free(text.text);
}
END_TEST

START_TEST(test_access_allows_users_and_groups_named)
{
	uid_t users[] = { 10, 20 };
	gid_t groups[] = { 30 };
	gid_t in[] = { 5, 30 }, out[] = { 10, 20 };
	struct conf_access access = { false, users, 2, groups, 1 };
	struct conf_access nobody = { 0 }, anybody = { .anybody = true };

	ck_assert(conf_access_allows(&access, 20, NULL, 0));
	ck_assert(conf_access_allows(&access, 1, in, 2));
	ck_assert(!conf_access_allows(&access, 30, out, 2));
	ck_assert(!conf_access_allows(&access, 0, NULL, 0));
	ck_assert(!conf_access_allows(&nobody, 10, in, 2));
	ck_assert(conf_access_allows(&anybody, 10, NULL, 0));
	ck_assert(conf_access_allows(&anybody, machine_nobody()->uid, NULL, 0));
	ck_assert(conf_access_is_empty(&nobody));
	ck_assert(!conf_access_is_empty(&anybody));
	ck_assert(!conf_access_is_empty(&access));
}
END_TEST

/* Whoever has no number here looks like them: no entry means one of these. */
START_TEST(test_access_does_not_know_nobody)
{
	uid_t users[] = { machine_nobody()->uid, 20 };
	gid_t groups[] = { machine_nobody()->gid, 30 };
	gid_t nogroup[] = { machine_nobody()->gid }, in[] = { machine_nobody()->gid, 30 };
	struct conf_access access = { false, users, 2, groups, 2 };

	ck_assert(!conf_access_allows(&access, machine_nobody()->uid, NULL, 0));
	ck_assert(!conf_access_allows(&access, 1, nogroup, 1));
	ck_assert(conf_access_allows(&access, 1, in, 2));
	/* Its user is not mapped, one of its groups is: refused all the same. */
	ck_assert(!conf_access_allows(&access, machine_nobody()->uid, in, 2));
}
END_TEST

START_TEST(test_error_format_caret_below_column)
{
	char path[] = "f", text[] = "wrong", source[] = "\ta: \xe6\xb1\xa0 b";
	struct conf_error error = { path, 7, 7, text, source };
	char *formatted = conf_error_format(&error);

	ck_assert_str_eq(formatted, "f:7:7: wrong\n\ta: \xe6\xb1\xa0 b\n\t     ^");
	free(formatted);
}
END_TEST

START_TEST(test_error_format_no_memory_still_speaks)
{
	struct conf_error error = { 0 };
	char *formatted = conf_error_format(&error);

	ck_assert_str_eq(formatted, "config: out of memory");
	free(formatted);
}
END_TEST

START_TEST(test_free_null_is_fine)
{
	conf_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("conf");
	TCase *files = tcase_create("files"), *parts = tcase_create("parts");
	SRunner *runner;
	int n_failed;

	if (chdir(CONF_DIRECTORY) < 0) {
		perror(CONF_DIRECTORY);
		return EXIT_FAILURE;
	}
	tcase_add_test(files, test_load_good_files_silent);
	tcase_add_test(files, test_load_bad_files_say_where);
	tcase_add_test(files, test_load_doubtful_files_warn);
	tcase_add_test(files, test_load_without_callback_no_warning);
	tcase_add_test(files, test_load_minimal_has_defaults);
	tcase_add_test(files, test_load_everything_is_read);
	tcase_add_loop_test(files, test_dump_loads_again, 0, 2);
	tcase_add_test(files, test_load_more_than_memory_warns);
	tcase_add_test(files, test_load_missing_file_enoent);
	tcase_add_test(files, test_load_huge_file_refused);
	tcase_add_test(files, test_load_unreadable_file_eacces);
	tcase_add_test(files, test_load_pipe_is_read_once);
	tcase_add_test(files, test_load_no_file_is_not_opened);
	tcase_add_test(files, test_load_memory_every_beginning);
	tcase_add_test(files, test_load_memory_large_in_time);
	tcase_add_test(files, test_load_memory_too_many_queues_refused);
	tcase_add_test(files, test_installed_config_is_the_guides);
	tcase_add_test(files, test_installed_config_each_example_loads);
	tcase_add_test(files, test_installed_config_all_examples_load);
	tcase_set_timeout(files, 60);
	tcase_add_test(parts, test_access_allows_users_and_groups_named);
	tcase_add_test(parts, test_access_does_not_know_nobody);
	tcase_add_test(parts, test_error_format_caret_below_column);
	tcase_add_test(parts, test_error_format_no_memory_still_speaks);
	tcase_add_test(parts, test_free_null_is_fine);
	suite_add_tcase(suite, files);
	suite_add_tcase(suite, parts);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
