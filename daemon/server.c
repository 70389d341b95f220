/* SPDX-License-Identifier: MIT */
#include "daemon/server.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "build_config.h"
#include "daemon/base/clock.h"
#include "daemon/base/handed.h"
#include "daemon/base/log.h"
#include "daemon/base/manager.h"
#include "daemon/base/notify.h"
#include "daemon/base/progress.h"
#include "daemon/segments/keep.h"
#include "daemon/segments/orphan.h"
#include "daemon/sessions/client.h"
#include "daemon/sessions/dispatch.h"
#include "daemon/sessions/drain.h"
#include "daemon/sessions/observer.h"
#include "shm/segment.h"

#define FDS_PER_CLIENT 3		/* its connection, its process's pidfd, and its wake channel */
#define FDS_PER_SEGMENT 16		/* objects, shape, what the next ones get; older generations */
#define FDS_MARGIN 32
#define STATUS_INTERVAL_NS UINT64_C(1000000000)
#define STATUS_RELOAD_BYTES 512
#define STATUS_FAILED_BYTES 300

/* What was sent before the signal to stop is heard: a connection, its hello, and its bye. */
#define STOP_ROUNDS 3

/* ---- what the service manager is told ---- */

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void on_changed(void *userdata);

/* Segments that new clients cannot come to: how many, and why the first one. */
static void describe_failed(const struct server *server, char *text, size_t size)
{
	const struct host *host, *first = NULL;
	unsigned int n = 0;

	TAILQ_FOREACH(host, &server->hosts.list, link) {
		if (!host->conf || host->current)
			continue;
		first = first ? first : host;
		n++;
	}
	text[0] = '\0';
	if (n > 0)
		snprintf(text, size, "; not served: %u (%s: %s)", n, first->name, first->why);
}

static bool has_memfds(const struct server *server)
{
	const struct generation *generation;
	const struct host *host;

	for (size_t i = 0; i < server->conf->n_segments; i++)
		if (server->conf->segments[i].backing == SEGMENT_MEMFD)
			return true;
	TAILQ_FOREACH(host, &server->hosts.list, link)
		TAILQ_FOREACH(generation, &host->generations, link)
			if (state_backing(generation->file) == SEGMENT_MEMFD)
				return true;
	return false;
}

/* Where the next daemon finds us, for as long as anything of ours is kept. */
static void keep_place(struct server *server)
{
	if (!server->house.path)
		return;
	if (has_memfds(server))
		place_keep(&server->place, &server->house, server->conf);
	else
		place_drop(&server->place);
}

static void send_status(struct server *server)
{
	size_t n_segments = server->conf->n_segments;
	char reload[STATUS_RELOAD_BYTES], failed[STATUS_FAILED_BYTES], retired[64] = "";
	struct generation *generation;
	uint64_t n_retired = 0;
	struct host *host;

	TAILQ_FOREACH(host, &server->hosts.list, link)
		TAILQ_FOREACH(generation, &host->generations, link)
			n_retired += generation->state != GENERATION_CURRENT;
	server->status_is_due = false;
	server->status_ns = clock_monotonic_ns();
	if (n_retired)
		snprintf(retired, sizeof(retired), "; %" PRIu64 " retired generation%s",
			 n_retired, plural(n_retired));
	reload_describe(&server->reload, reload, sizeof(reload));
	describe_failed(server, failed, sizeof(failed));
	notify("STATUS=%" PRIu64 " client%s in %zu segment%s%s%s%s%s%s", server->counters.n_tenants,
	       plural(server->counters.n_tenants), n_segments, plural(n_segments), retired, failed,
	       server->conf_error ? "; as before, the config cannot be used: " : "",
	       server->conf_error ? server->conf_error : "", reload);
	keep_place(server);
	/* Once a second, until the manager has taken it all. */
	if (notify_is_behind() || server->place.is_behind)
		on_changed(server);
}

static void on_status(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	send_status(userdata);
}

/* Something that the status line tells. */
static void on_changed(void *userdata)
{
	struct server *server = userdata;
	uint64_t next = server->status_ns + STATUS_INTERVAL_NS, now = clock_monotonic_ns();
	struct timeval delay = { 0, 0 };

	if (server->status_is_due)
		return;
	server->status_is_due = true;
	if (next > now) {
		delay.tv_sec = (time_t)((next - now) / 1000000000);
		delay.tv_usec = (suseconds_t)((next - now) % 1000000000 / 1000);
	}
	evtimer_add(&server->status, &delay);
}

static void on_made(void *userdata)
{
	struct server *server = userdata;

	session_client_try_all(&server->sessions);
}

/* It takes time: whoever waits for us to be ready is to wait on. */
static void on_progress(const char *segment_name, uint64_t done_bytes, uint64_t total_bytes)
{
	char done[LOG_SIZE_BYTES], total[LOG_SIZE_BYTES];

	notify("%sEXTEND_TIMEOUT_USEC=30000000\n"
	       "STATUS=taking memory for segment '%s': %s of %s",
	       manager_watches(NULL) ? "WATCHDOG=1\n" : "", segment_name,
	       log_size(done, done_bytes), log_size(total, total_bytes));
	progress_show(segment_name, done_bytes, total_bytes);
}

static void on_watchdog(evutil_socket_t fd, short what, void *userdata)
{
	(void)fd;
	(void)what;
	(void)userdata;
	notify("WATCHDOG=1");
}

/* ---- signals ---- */

static void on_stop(evutil_socket_t signal_number, short what, void *userdata)
{
	struct server *server = userdata;

	(void)what;
	log_info("%s: stopping, segments are kept", strsignal((int)signal_number));
	hosts_tell_end(&server->hosts);
	notify_state("STOPPING=1\nSTATUS=stopping");
	event_base_loopbreak(server->base);
}

static void on_hangup(evutil_socket_t signal_number, short what, void *userdata)
{
	struct server *server = userdata;

	(void)signal_number;
	(void)what;
	reload_ask(&server->reload, 0, NULL);
}

/* ---- start ---- */

/* As many descriptors as we may have; a warning if the limits in the config need more. */
static void raise_fd_limit(const struct conf *conf)
{
	uint64_t needed = (uint64_t)conf->max_clients * FDS_PER_CLIENT +
			  conf->n_segments * FDS_PER_SEGMENT + SESSION_DOOR_MAX + FDS_MARGIN;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		log_warning("cannot raise the limit of descriptors: %s", strerror(errno));
	if (limit.rlim_max < needed)
		log_warning("%u clients (limits: clients) may need %" PRIu64 " descriptors, the "
			    "limit is %" PRIu64 ": set LimitNOFILE=%" PRIu64 " in the unit",
			    conf->max_clients, needed, (uint64_t)limit.rlim_max, needed);
}

static void start_watchdog(struct server *server)
{
	struct timeval interval;
	uint64_t usec;

	if (!manager_watches(&usec))
		return;
	interval.tv_sec = (time_t)(usec / 2 / 1000000);
	interval.tv_usec = (suseconds_t)(usec / 2 % 1000000);
	event_add(&server->watchdog, &interval);
}

static void on_connection(int fd, void *userdata)
{
	struct server *server = userdata;

	dispatch_connection(&server->sessions, fd);
}

static int on_ask_reload(uint32_t flags, uint64_t *ret_number, void *userdata)
{
	struct server *server = userdata;

	return reload_ask(&server->reload, flags, ret_number);
}

/* What of the socket stays until a restart is said; the rest is changed. */
static void socket_changed(struct server *server, const struct conf *before)
{
	const struct conf *conf = server->conf;
	bool has_moved = strcmp(conf->socket_path, before->socket_path) != 0;
	bool is_same = conf->socket_mode == before->socket_mode &&
		       conf->socket_group == before->socket_group;

	listener_look(&server->listener);
	if (has_moved && !server->socket_path && server->listener.path)
		log_warning("the socket stays at %s until mempoold is restarted (socket: path)",
			    server->listener.path);
	if ((has_moved || !is_same) && !server->listener.path)
		log_warning("the socket is the service manager's: not socket: in the config "
			    "changes it, but mempoold.socket");
	else if (!is_same)
		listener_set_access(&server->listener, conf->socket_mode, conf->socket_group);
}

static bool is_same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Of one that was made of what is there (last.h), there is nothing to compare. */
static void house_changed(const struct conf *conf, const struct conf *before, bool was_last)
{
	if (was_last)
		return;
	if (!is_same_text(conf->state_dir, before->state_dir) ||
	    strcmp(conf->house, before->house) != 0)
		log_warning("state_dir and house stay as they are until mempoold is restarted");
}

/* After a reload; hosts know already. */
static void on_conf(struct conf *conf, void *userdata)
{
	struct server *server = userdata;
	struct conf *before = server->conf;
	bool was_last = server->conf_error != NULL;

	server->conf = conf;
	server->conf_error = NULL;
	server->sessions.conf = conf;
	quota_set_limits(&server->quota, conf->max_clients, conf->max_clients_per_user);
	log_set_level(conf->log_level);
	raise_fd_limit(conf);
	socket_changed(server, before);
	house_changed(conf, before, was_last);
	conf_free(before);
	keep_place(server);
}

static void on_reloaded(uint64_t number, struct mempool_msg_reloaded *result,
			const char *forecast, void *userdata)
{
	struct server *server = userdata;

	session_observer_reloaded(&server->sessions, number, result, forecast);
}

/* Segments that have left the config while there was no daemon: first of all, since what is
 * removed makes room. */
static void open_left(struct server *server)
{
	int r = keep_clear(&server->house);
	struct host *host, *next;

	if (r < 0)
		log_warning("cannot look for descriptors without a state file: %s", strerror(-r));
	r = orphans_clear_left(&server->house, server->conf);
	if (r < 0 && r != -EBUSY)
		log_warning("cannot look for objects without a state file: %s", strerror(-r));
	r = hosts_add_left(&server->hosts);
	if (r < 0)
		log_warning("cannot look for segments that have left the config: %s",
			    strerror(-r));
	for (host = TAILQ_FIRST(&server->hosts.list); host; host = next) {
		next = TAILQ_NEXT(host, link);
		if (!host->conf && host_open(host) == 0)
			host_free_if_over(host);
	}
}

/* A segment fails alone, unless there is none at all to serve or to watch. */
static int open_hosts(struct server *server)
{
	bool is_any = false;
	struct host *host;
	int r, result = 0;

	open_left(server);
	TAILQ_FOREACH(host, &server->hosts.list, link) {
		r = host->conf ? host_open(host) : 0;
		if (r < 0)
			result = r;
		is_any = is_any || !TAILQ_EMPTY(&host->generations);
	}
	return is_any ? 0 : result;
}

/* A start that fails leaves no memory taken that was free before. */
static void undo_hosts(struct server *server)
{
	struct host *host;

	TAILQ_FOREACH(host, &server->hosts.list, link)
		host_undo(host);
}

static int server_start(struct server *server)
{
	const struct conf *conf = server->conf;
	int r;

	raise_fd_limit(conf);
	r = house_open(&server->house, conf, server->socket_path);
	if (r == 0) {
		keep_place(server);
		r = open_hosts(server);
	}
	if (r < 0)
		return r;
	/* Until here TERM ends us at once, which leaves nothing that is not recognised. */
	event_add(&server->sigterm, NULL);
	event_add(&server->sigint, NULL);
	event_add(&server->sighup, NULL);
	r = listener_open(&server->listener,
			  server->socket_path ? server->socket_path : conf->socket_path,
			  conf->socket_mode, conf->socket_group);
	if (r < 0)
		return r;
	listener_start(&server->listener, server->base, &server->sessions.closer, on_connection,
		       server);
	start_watchdog(server);
	/* Ahead of READY, so that the status is there for whoever waited for the start. */
	send_status(server);
	notify_state("READY=1");
	log_info("mempoold " MEMPOOL_VERSION " is ready: %zu segment%s, %" PRIu64 " client%s",
		 conf->n_segments, plural(conf->n_segments), server->counters.n_tenants,
		 plural(server->counters.n_tenants));
	/* What reading the config took, and adopting, is of no use for the rest of our life. */
	malloc_trim(0);
	return 0;
}

static void assign_events(struct server *server)
{
	static const struct reload_fns tell = {
		.in_force = on_conf,
		.changed = on_changed,
		.over = on_reloaded,
	};
	struct event_base *base = server->base;

	evsignal_assign(&server->sigterm, base, SIGTERM, on_stop, server);
	evsignal_assign(&server->sigint, base, SIGINT, on_stop, server);
	evsignal_assign(&server->sighup, base, SIGHUP, on_hangup, server);
	event_assign(&server->watchdog, base, -1, EV_PERSIST, on_watchdog, server);
	evtimer_assign(&server->status, base, on_status, server);
	reload_init(&server->reload, base, &server->hosts, server->conf, &tell, server);
}

static void init_sessions(struct server *server)
{
	server->sessions = (struct sessions){
		.base = server->base,
		.conf = server->conf,
		.hosts = &server->hosts,
		.quota = &server->quota,
		.counters = &server->counters,
		.ask_reload = on_ask_reload,
		.userdata = server,
	};
	sessions_init(&server->sessions, &server->chores);
	session_client_init(&server->sessions);
}

/* Return: 0 or -errno. */
static int init_hosts(struct server *server)
{
	static const struct environment_fns tell = {
		.tenant_died = session_tenant_died,
		.try_again = session_client_try_again,
		.look_again = session_client_look_again,
		.changed = on_changed,
		.made = on_made,
		.progress = on_progress,
	};
	struct environment *environment = &server->hosts.environment;
	size_t i;
	int r = 0;

	TAILQ_INIT(&server->hosts.list);
	*environment = (struct environment){
		.base = server->base,
		.chores = &server->chores,
		.watches = &server->watches,
		.quota = &server->quota,
		.counters = &server->counters,
		.house = &server->house,
		.jobs = &server->hosts.jobs,
		.tell = &tell,
		.userdata = server,
	};
	origin_init(&environment->origin);
	watches_init(&server->watches, server->base, &server->chores, &environment->origin,
		     &server->counters);
	jobs_init(&server->hosts.jobs, server->base);
	for (i = 0; i < server->conf->n_segments && r == 0; i++) {
		const struct conf_segment *segment = &server->conf->segments[i];

		if (!hosts_add(&server->hosts, segment->shape.name, segment))
			r = -ENOMEM;
	}
	return r;
}

/* libevent would write to standard error itself, and wait for whoever reads that. */
static void on_libevent_message(int severity, const char *text)
{
	static const int priorities[] = {
		[EVENT_LOG_DEBUG] = LOG_DEBUG,
		[EVENT_LOG_MSG] = LOG_INFO,
		[EVENT_LOG_WARN] = LOG_WARNING,
		[EVENT_LOG_ERR] = LOG_ERR,
	};

	log_at(priorities[severity], "libevent: %s", text);
}

static void on_libevent_failure(int error)
{
	(void)error;
	log_finish();
	exit(EXIT_FAILURE);
}

int server_init(struct server *server, struct conf *conf, const char *socket_path,
		const char *conf_error)
{
	int r = -ENOMEM;

	event_set_log_callback(on_libevent_message);
	event_set_fatal_callback(on_libevent_failure);
	*server = (struct server){
		.conf = conf,
		.conf_error = conf_error,
		.base = event_base_new(),
		.listener = LISTENER_NULL,
		.socket_path = socket_path,
		.house = HOUSE_NULL,
	};
	quota_init(&server->quota, conf->max_clients, conf->max_clients_per_user);
	if (server->base) {
		chores_init(&server->chores, server->base, CHORES_TURN_NS);
		assign_events(server);
		init_sessions(server);
		r = init_hosts(server);
	}
	if (r == 0)
		r = sigbus_init();
	if (r < 0)
		log_error("cannot start: %s", strerror(-r));
	signal(SIGPIPE, SIG_IGN);
	return r;
}

/* Beside work that hangs nothing can be freed. What it has made so far is no object yet, or
 * one that the next start recognises. */
static _Noreturn void end_at_once(struct server *server)
{
	log_warning("a thread hangs, in a name service or a file system: mempoold ends without it");
	listener_close(&server->listener);
	closer_deinit(&server->sessions.closer);
	log_finish();
	_exit(EXIT_SUCCESS);
}

static void server_deinit(struct server *server)
{
	struct host *host;

	if (!reload_deinit(&server->reload) || !jobs_stop(&server->hosts.jobs) ||
	    !hosts_stop(&server->hosts))
		end_at_once(server);
	listener_close(&server->listener);
	if (server->base) {
		session_drain_stop_all(&server->sessions);
		sessions_deinit(&server->sessions);
	}
	while ((host = TAILQ_FIRST(&server->hosts.list))) {
		TAILQ_REMOVE(&server->hosts.list, host, link);
		host_free(host);
	}
	house_close(&server->house);
	quota_deinit(&server->quota);
	if (server->base) {
		watches_deinit(&server->watches);
		chores_deinit(&server->chores);
		event_del(&server->sigterm);
		event_del(&server->sigint);
		event_del(&server->sighup);
		event_del(&server->watchdog);
		event_del(&server->status);
		event_base_free(server->base);
	}
	place_deinit(&server->place);
	handed_deinit();
	conf_free(server->conf);
}

/* Return: 0 or -errno. */
static int run_loop(struct server *server)
{
	if (event_base_dispatch(server->base) < 0) {
		log_error("the event loop failed");
		return -EIO;
	}
	for (int i = 0; i < STOP_ROUNDS; i++)
		event_base_loop(server->base, EVLOOP_NONBLOCK);
	return 0;
}

int server_run(struct conf *conf, const char *socket_path, const char *conf_error)
{
	struct server server;
	int r;

	r = server_init(&server, conf, socket_path, conf_error);
	if (r == 0) {
		r = server_start(&server);
		if (r < 0)
			undo_hosts(&server);
	}
	if (r == 0)
		r = run_loop(&server);
	server_deinit(&server);
	return r;
}
