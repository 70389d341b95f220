/* SPDX-License-Identifier: MIT */
/*
 * conf.c - the keys of the config and what they mean
 *
 * A text is checked, parsed into a tree (yaml/tree.c), and the tree is read by tables,
 * one for each kind of mapping: which keys there are and which function reads what they
 * map to. The tables' order is the order of reading. Segments have a file of their own
 * (segment.c), the others are here.
 *
 * The conf grows as it is read; an object is counted before it is filled, so conf_free()
 * can free it at any time.
 */
#include "daemon/config/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <syslog.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/config/yaml/reader.h"
#include "daemon/config/yaml/tree.h"
#include "daemon/config/yaml/value.h"

/* Far more than anybody writes; a wrong path (/dev/zero, a log) is noticed at once. */
#define MAX_FILE_BYTES (UINT64_C(1) << 20)

#define DEFAULT_SOCKET_PATH "/run/mempool/mempoold.sock"
#define DEFAULT_SOCKET_MODE 0660
#define DEFAULT_CLIENTS 1024
#define DEFAULT_CLIENTS_PER_USER 256
#define DEFAULT_HELLO_TIMEOUT_NS UINT64_C(5000000000)

/* fs.nr_open, which limits the descriptors of a process, is 2^20 unless raised. */
#define MAX_CLIENTS (UINT64_C(1) << 20)

static int read_socket_path(struct conf_reader *reader, const struct conf_node *node,
			    void *object)
{
	struct conf *conf = object;
	const char *path;
	char *copy;
	int r;

	r = conf_read_string(reader, node, "a path", &path);
	if (r < 0)
		return r;
	if (path[0] != '/')
		return conf_fail_value(reader, node,
				       "the path must be absolute, beginning with /");
	if (path[strlen(path) - 1] == '/')
		return conf_fail_value(reader, node, "the path must end in a file name");
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return conf_fail(
			reader, node, "the path has %zu bytes, a socket's at most %zu",
			strlen(path), sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);

	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	free(conf->socket_path);
	conf->socket_path = copy;
	return 0;
}

static int read_socket_mode(struct conf_reader *reader, const struct conf_node *node,
			    void *object)
{
	struct conf *conf = object;

	return conf_read_mode(reader, node, &conf->socket_mode);
}

static int read_socket_group(struct conf_reader *reader, const struct conf_node *node,
			     void *object)
{
	struct conf *conf = object;

	return conf_read_group(reader, node, &conf->socket_group);
}

static const struct conf_key socket_keys[] = {
	{ "path", read_socket_path, false },
	{ "mode", read_socket_mode, false },
	{ "group", read_socket_group, false },
	{ NULL, NULL, false },
};

static int read_clients(struct conf_reader *reader, const struct conf_node *node,
			uint32_t *ret_clients)
{
	static const struct conf_number number = {
		conf_value_count, "a number", 1, MAX_CLIENTS,
		"a limit of clients is from 1 to 1048576",
	};
	uint64_t clients;
	int r;

	r = conf_read_number(reader, node, &number, &clients);
	if (r < 0)
		return r;
	*ret_clients = (uint32_t)clients;
	return 0;
}

static int read_limit_clients(struct conf_reader *reader, const struct conf_node *node,
			      void *object)
{
	struct conf *conf = object;

	return read_clients(reader, node, &conf->max_clients);
}

static int read_limit_clients_per_user(struct conf_reader *reader,
				       const struct conf_node *node, void *object)
{
	struct conf *conf = object;

	return read_clients(reader, node, &conf->max_clients_per_user);
}

static int read_hello_timeout(struct conf_reader *reader, const struct conf_node *node,
			      void *object)
{
	static const struct conf_number number = {
		conf_value_duration, "a time", 1000000, UINT64_C(3600000000000),
		"a hello's timeout is from 1ms to 1h",
	};
	struct conf *conf = object;

	return conf_read_number(reader, node, &number, &conf->hello_timeout_ns);
}

static const struct conf_key limits_keys[] = {
	{ "clients", read_limit_clients, false },
	{ "clients_per_user", read_limit_clients_per_user, false },
	{ "hello_timeout", read_hello_timeout, false },
	{ NULL, NULL, false },
};

static int read_socket(struct conf_reader *reader, const struct conf_node *node,
		       void *object)
{
	struct conf *conf = object;

	return conf_read_mapping(reader, node, "socket", socket_keys, conf);
}

static int read_limits(struct conf_reader *reader, const struct conf_node *node,
		       void *object)
{
	struct conf *conf = object;

	return conf_read_mapping(reader, node, "limits", limits_keys, conf);
}

static int read_admin(struct conf_reader *reader, const struct conf_node *node,
		      void *object)
{
	struct conf *conf = object;

	return conf_read_access(reader, node, "admin", &conf->admin);
}

static int read_state_dir(struct conf_reader *reader, const struct conf_node *node,
			  void *object)
{
	struct conf *conf = object;
	const char *path;
	int r;

	r = conf_read_string(reader, node, "a path", &path);
	if (r < 0)
		return r;
	if (path[0] != '/')
		return conf_fail_value(reader, node,
				       "the path must be absolute, beginning with /");
	conf->state_dir = strdup(path);
	return conf->state_dir ? 0 : -ENOMEM;
}

static int read_house(struct conf_reader *reader, const struct conf_node *node, void *object)
{
	struct conf *conf = object;
	const char *name;
	int r;

	r = conf_read_string(reader, node, "a name", &name);
	if (r < 0)
		return r;
	if (!config_name_is_valid(name))
		return conf_fail_value(reader, node,
				       "a house is named with 1 to 31 of A-Z a-z 0-9 _ -");
	strcpy(conf->house, name);
	return 0;
}

static int read_log_level(struct conf_reader *reader, const struct conf_node *node,
			  void *object)
{
	static const struct conf_choice choices[] = {
		{ "error", LOG_ERR },	    { "warning", LOG_WARNING },
		{ "notice", LOG_NOTICE },   { "info", LOG_INFO },
		{ "debug", LOG_DEBUG },	    { NULL, 0 },
	};
	struct conf *conf = object;

	return conf_read_choice(reader, node, choices, &conf->log_level);
}

static int read_segments(struct conf_reader *reader, const struct conf_node *node,
			 void *object)
{
	struct conf *conf = object;

	return conf_read_segments(reader, node, &conf->segments, &conf->n_segments);
}

static const struct conf_key root_keys[] = {
	{ "socket", read_socket, false },
	{ "limits", read_limits, false },
	{ "admin", read_admin, false },
	{ "state_dir", read_state_dir, false },
	{ "house", read_house, false },
	{ "log_level", read_log_level, false },
	{ "segments", read_segments, true },
	{ NULL, NULL, false },
};

const char *conf_nearest(const char *word, const char *const *known)
{
	return conf_value_nearest(word, known);
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;

	for (size_t i = 0; i < conf->n_segments; i++)
		conf_segment_deinit(&conf->segments[i]);
	free(conf->segments);
	conf_access_deinit(&conf->admin);
	free(conf->socket_path);
	free(conf->state_dir);
	free(conf->path);
	free(conf);
}

struct conf *conf_new(const char *path)
{
	struct conf *conf;

	conf = calloc(1, sizeof(*conf));
	if (!conf)
		return NULL;
	*conf = (struct conf){
		.path = strdup(path),
		.socket_path = strdup(DEFAULT_SOCKET_PATH),
		.socket_mode = DEFAULT_SOCKET_MODE,
		.socket_group = (gid_t)-1,
		.max_clients = DEFAULT_CLIENTS,
		.max_clients_per_user = DEFAULT_CLIENTS_PER_USER,
		.hello_timeout_ns = DEFAULT_HELLO_TIMEOUT_NS,
		.log_level = LOG_INFO,
	};
	if (!conf->path || !conf->socket_path) {
		conf_free(conf);
		return NULL;
	}
	return conf;
}

int conf_load_memory(const char *name, const char *data, size_t size, conf_warn_fn warn,
		     void *userdata, struct conf **ret_conf,
		     struct conf_error *reterr_error)
{
	struct conf_text text = { .path = name, .data = data, .size = size };
	struct conf_reader reader = { &text, warn, userdata, reterr_error };
	struct conf *conf = conf_new(name);
	struct conf_node *tree = NULL;
	int r = -ENOMEM;

	/* What a line says about its columns begins behind the byte order mark. */
	if (size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0) {
		text.data += 3;
		text.size -= 3;
	}

	if (conf)
		r = conf_text_check(&text, reterr_error);
	if (r == 0)
		r = conf_tree_parse(&text, &tree, reterr_error);
	if (r == 0 && !tree) {
		r = -EINVAL;
		conf_error_set(reterr_error, &text, 0, 0,
			       "nothing in it: a config needs at least `segments`");
	}
	if (r == 0)
		r = conf_read_mapping(&reader, tree, "a config", root_keys, conf);
	conf_node_free(tree);

	if (r == -ENOMEM)
		conf_error_set(reterr_error, &text, 0, 0, "out of memory");
	if (r < 0) {
		conf_free(conf);
		return r;
	}
	*ret_conf = conf;
	return 0;
}

/* A pipe between two programs, and no name in a file system: it has, or had, a writer. */
static bool is_unnamed_pipe(const char *path, const struct stat *st)
{
	struct statfs fs;

	return S_ISFIFO(st->st_mode) && statfs(path, &fs) == 0 && fs.f_type == PIPEFS_MAGIC;
}

static const char *kind_of(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device";
	}
}

/*
 * All of a file; one byte more than allowed says too large. Anything else is not even opened:
 * a named pipe would wait for a writer, and a device may do who knows what. Whoever puts one
 * there between the two calls could as well write to the file.
 *
 * Return: 0; -errno; -EINVAL and *ret_kind: no file.
 */
static int read_file(const char *path, bool takes_pipe, char *data, size_t room, size_t *ret_size,
		     const char **ret_kind)
{
	struct stat st;
	size_t size = 0;
	ssize_t n;
	int fd, r;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) && !(takes_pipe && is_unnamed_pipe(path, &st))) {
		*ret_kind = kind_of(&st);
		return -EINVAL;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, data + size, room - size);
		if (n > 0)
			size += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	r = n < 0 ? -errno : 0;
	close(fd);
	*ret_size = size;
	return r;
}

static int load(const char *path, bool takes_pipe, conf_warn_fn warn, void *userdata,
		struct conf **ret_conf, struct conf_error *reterr_error)
{
	struct conf_text text = { .path = path };
	const char *kind = NULL;
	size_t size = 0;
	char *data;
	int r;

	data = malloc(MAX_FILE_BYTES + 1);
	r = data ? read_file(path, takes_pipe, data, MAX_FILE_BYTES + 1, &size, &kind) : -ENOMEM;
	if (kind) {
		conf_error_set(reterr_error, &text, 0, 0, "is %s, and no file", kind);
	} else if (r < 0) {
		conf_error_set(reterr_error, &text, 0, 0, "cannot be read: %s",
			       strerror(-r));
	} else if (size > MAX_FILE_BYTES) {
		r = -EINVAL;
		conf_error_set(reterr_error, &text, 0, 0,
			       "larger than 1 MiB: is it the right file?");
	} else {
		r = conf_load_memory(path, data, size, warn, userdata, ret_conf,
				     reterr_error);
	}
	free(data);
	return r;
}

int conf_load(const char *path, conf_warn_fn warn, void *userdata, struct conf **ret_conf,
	      struct conf_error *reterr_error)
{
	return load(path, false, warn, userdata, ret_conf, reterr_error);
}

int conf_load_once(const char *path, conf_warn_fn warn, void *userdata, struct conf **ret_conf,
		   struct conf_error *reterr_error)
{
	return load(path, true, warn, userdata, ret_conf, reterr_error);
}

void conf_log_error(int priority, const struct conf_error *error)
{
	char *text = conf_error_format(error);

	log_lines(priority, text ? text : error->text);
	free(text);
}

void conf_log_warning(const struct conf_error *warning, void *userdata)
{
	(void)userdata;
	conf_log_error(LOG_WARNING, warning);
}
