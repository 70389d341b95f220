/* SPDX-License-Identifier: MIT */
/*
 * serve.c - mempoolctl serve: metrics, and a page to look at, by HTTP
 *
 *	/		the page (page.html), which asks for
 *	/status.json	what it shows, and
 *	/metrics	the same for Prometheus
 *
 * It only tells, so there is nothing to ask for but these, by GET or HEAD. Who connects may
 * be anybody: a connection carries one request and has a deadline, headers are bounded, a
 * body is refused, and when there are too many connections the oldest one has to go. A
 * request costs no look at a segment: see sampler.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <stdlib.h>

#include "ctl.h"
#include "daemon/base/manager.h"
#include "exposition.h"
#include "page.h"
#include "sampler.h"

#define MAX_CONNECTIONS 64
#define MAX_HEADERS_BYTES 8192
#define DEADLINE_SECONDS 10		/* from accept to the last byte */
#define BACKLOG 64

/*
 * evhttp says nothing about a connection that has made no request yet, nor when one ends. We
 * make its bufferevent, and keep a reference: when that is the last one, it has ended.
 */
struct connection {
	TAILQ_ENTRY(connection) link;	/* by age */
	struct bufferevent *bufferevent;
	time_t deadline;
	bool is_ending;			/* evhttp will see it soon */
};

struct server {
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct event *tick;
	struct event *signals[2];
	struct sampler *sampler;
	bool is_loopback;
	size_t n_connections;		/* those that are not ending */
	TAILQ_HEAD(, connection) connections;
};

/* ---- connections ---- */

static time_t clock_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void connection_free(struct server *server, struct connection *connection)
{
	TAILQ_REMOVE(&server->connections, connection, link);
	server->n_connections -= !connection->is_ending;
	free(connection);
}

/* evhttp finds it closed, answers nobody, and frees it. */
static void connection_end(struct server *server, struct connection *connection)
{
	evutil_socket_t fd = bufferevent_getfd(connection->bufferevent);

	if (connection->is_ending)
		return;
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
	connection->is_ending = true;
	server->n_connections--;
}

/* Forget those that have ended, and end those that take too long. */
static void sweep(struct server *server)
{
	struct connection *connection, *next;
	time_t now = clock_seconds();

	for (connection = TAILQ_FIRST(&server->connections); connection; connection = next) {
		next = TAILQ_NEXT(connection, link);
		if (bufferevent_decref(connection->bufferevent)) {
			connection_free(server, connection);
			continue;
		}
		bufferevent_incref(connection->bufferevent);
		if (now >= connection->deadline)
			connection_end(server, connection);
	}
}

static void end_oldest(struct server *server)
{
	struct connection *connection;

	TAILQ_FOREACH(connection, &server->connections, link) {
		if (connection->is_ending)
			continue;
		connection_end(server, connection);
		return;
	}
}

static struct bufferevent *on_connection(struct event_base *base, void *userdata)
{
	struct server *server = userdata;
	struct connection *connection = calloc(1, sizeof(*connection));
	/* Closed with the last reference: evhttp would close it before, with its events left, and
	 * its number is somebody else's then, perhaps the sampler's. */
	struct bufferevent *bufferevent =
		bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (!connection || !bufferevent) {
		/* evhttp tries itself, and drops it if it cannot either. */
		free(connection);
		return bufferevent;
	}

	sweep(server);
	if (server->n_connections >= MAX_CONNECTIONS)
		end_oldest(server);
	bufferevent_incref(bufferevent);
	connection->bufferevent = bufferevent;
	connection->deadline = clock_seconds() + DEADLINE_SECONDS;
	TAILQ_INSERT_TAIL(&server->connections, connection, link);
	server->n_connections++;
	return bufferevent;
}

/* Descriptors or memory ran out: those there are end by their deadlines. */
static void on_accept_error(struct evconnlistener *listener, void *userdata)
{
	(void)userdata;
	evconnlistener_disable(listener);
}

static void on_tick(evutil_socket_t fd, short what, void *userdata)
{
	struct server *server = userdata;

	(void)fd;
	(void)what;
	sweep(server);
	evconnlistener_enable(server->listener);
}

/* ---- requests ---- */

static void answer(struct evhttp_request *request, int code, const char *reason,
		   const char *content_type, const char *policy, struct evbuffer *body)
{
	const struct {
		const char *name;
		const char *value;
	} headers[] = {
		{ "Content-Type", content_type },
		{ "Content-Security-Policy", policy },
		{ "X-Content-Type-Options", "nosniff" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cache-Control", "no-store" },
		{ "Connection", "close" },
	};
	struct evkeyvalq *out = evhttp_request_get_output_headers(request);
	char size[24];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		evhttp_add_header(out, headers[i].name, headers[i].value);
	/* evhttp would send the body, too. */
	if (body && evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
		snprintf(size, sizeof(size), "%zu", evbuffer_get_length(body));
		evhttp_add_header(out, "Content-Length", size);
		body = NULL;
	}
	evhttp_send_reply(request, code, reason, body);
}

static const char no_policy[] = "default-src 'none'; frame-ancestors 'none'";

static void answer_line(struct evhttp_request *request, int code, const char *reason)
{
	struct evbuffer *body = evbuffer_new();

	if (body)
		evbuffer_add_printf(body, "%s\n", reason);
	answer(request, code, reason, "text/plain; charset=utf-8", no_policy, body);
	if (body)
		evbuffer_free(body);
}

static bool method_is_served(struct evhttp_request *request)
{
	return evhttp_request_get_command(request) & (EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
}

/* evhttp leaves a connection open that has asked for a tunnel. */
static void on_refused(struct evhttp_request *request, void *userdata)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);

	(void)userdata;
	shutdown(bufferevent_getfd(evhttp_connection_get_bufferevent(connection)), SHUT_WR);
}

static void refuse_method(struct evhttp_request *request)
{
	evhttp_request_set_on_complete_cb(request, on_refused, NULL);
	evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
	answer_line(request, HTTP_BADMETHOD, "Method Not Allowed");
}

static void on_sent(const void *data, size_t size, void *userdata)
{
	(void)data;
	(void)size;
	sample_unref(userdata);
}

static void on_page(struct evhttp_request *request, struct evbuffer *body,
		    struct sample *sample)
{
	evbuffer_add_reference(body, page_html, page_size, NULL, NULL);
	sample_unref(sample);
	answer(request, HTTP_OK, "OK", "text/html; charset=utf-8", page_policy, body);
}

static void on_status(struct evhttp_request *request, struct evbuffer *body,
		      struct sample *sample)
{
	if (evbuffer_add_reference(body, sample->status, sample->status_size, on_sent, sample) < 0)
		sample_unref(sample);
	answer(request, HTTP_OK, "OK", "application/json", no_policy, body);
}

static void on_metrics(struct evhttp_request *request, struct evbuffer *body,
		       struct sample *sample)
{
	if (evbuffer_add_reference(body, sample->metrics, sample->metrics_size, on_sent, sample) < 0)
		sample_unref(sample);
	answer(request, HTTP_OK, "OK", EXPOSITION_CONTENT_TYPE, no_policy, body);
}

/* It answers, so this program lives; what the daemon does is another question. */
static void on_healthy(struct evhttp_request *request, struct evbuffer *body,
		       struct sample *sample)
{
	(void)body;
	sample_unref(sample);
	answer_line(request, HTTP_OK, "OK");
}

/* The daemon answers, and each of its segments is served, and could be read. */
static void on_ready(struct evhttp_request *request, struct evbuffer *body,
		     struct sample *sample)
{
	if (sample->unready_size == 0) {
		sample_unref(sample);
		answer_line(request, HTTP_OK, "OK");
		return;
	}
	if (evbuffer_add_reference(body, sample->unready, sample->unready_size, on_sent, sample) < 0)
		sample_unref(sample);
	answer(request, HTTP_SERVUNAVAIL, "Not Ready", "text/plain; charset=utf-8", no_policy, body);
}

/*
 * Another site's page may have its name lead to this address (DNS rebinding); what it then
 * asks for bears that name. On loopback we go by no names but one.
 */
static bool host_is_ours(const struct server *server, struct evhttp_request *request)
{
	const char *host = evhttp_request_get_host(request);
	struct in_addr address;

	return !server->is_loopback || !host || host[0] == '[' ||
	       strcasecmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &address) == 1;
}

static void on_request(struct evhttp_request *request, void *userdata)
{
	static const struct {
		const char *path;
		void (*serve)(struct evhttp_request *request, struct evbuffer *body,
			      struct sample *sample);
	} routes[] = {
		{ "/", on_page },
		{ "/status.json", on_status },
		{ "/metrics", on_metrics },
		{ "/healthz", on_healthy },
		{ "/readyz", on_ready },
	};
	struct server *server = userdata;
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	struct evbuffer *body;

	if (!host_is_ours(server, request)) {
		answer_line(request, 421, "Misdirected Request");
		return;
	}
	if (!method_is_served(request)) {
		refuse_method(request);
		return;
	}
	for (size_t i = 0; path && i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		body = evbuffer_new();
		if (!body) {
			answer_line(request, HTTP_SERVUNAVAIL, "Out of Memory");
			return;
		}
		routes[i].serve(request, body, sampler_last(server->sampler));
		evbuffer_free(body);
		return;
	}
	answer_line(request, HTTP_NOTFOUND, "Not Found");
}

/* ---- start and stop ---- */

/* ADDRESS:PORT or [ADDRESS]:PORT, in numbers. Return: false, and it was said, if it is not. */
static bool read_address(const char *text, struct addrinfo **ret_address)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(text, ':');
	const char *from = text[0] == '[' ? text + 1 : text;
	char host[INET6_ADDRSTRLEN + 16];
	size_t length;

	/* getaddrinfo() takes any number for a port, as much of it as fits. */
	if (colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) &&
	    colon[1] != '\0' && strlen(colon + 1) <= 5 && atoi(colon + 1) <= UINT16_MAX) {
		length = (size_t)(colon - from);
		if (from != text && length > 0)
			length -= from[length - 1] == ']';
		if (length > 0 && length < sizeof(host) &&
		    (from == text) == !memchr(from, ':', length)) {
			memcpy(host, from, length);
			host[length] = '\0';
			if (getaddrinfo(host, colon + 1, &hints, ret_address) == 0)
				return true;
		}
	}
	ctl_error("--listen takes ADDRESS:PORT in numbers, not '%s'", text);
	return false;
}

/* The socket that the service manager passed. Return: 0 none; 1; -1 it is none for us. */
static int passed_socket(evutil_socket_t *ret_fd)
{
	int n = manager_handed(NULL);

	if (n == 0)
		return 0;
	if (n != 1 || manager_is_listening(MANAGER_FIRST_FD, AF_UNSPEC, SOCK_STREAM) <= 0 ||
	    evutil_make_socket_nonblocking(MANAGER_FIRST_FD) < 0) {
		ctl_error("the service manager must pass one listening stream socket");
		return -1;
	}
	*ret_fd = MANAGER_FIRST_FD;
	return 1;
}

static bool address_is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;

	switch (address->ss_family) {
	case AF_INET:
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	default:
		return false;
	}
}

/* Say where it is, since the port may be any and the socket somebody else's. */
static void announce(struct server *server)
{
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof(address);
	char host[NI_MAXHOST], port[NI_MAXSERV];
	bool is_ipv6;

	if (getsockname(evconnlistener_get_fd(server->listener), (struct sockaddr *)&address,
			&size) < 0 ||
	    getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		ctl_error("serving");
		return;
	}
	server->is_loopback = address_is_loopback(&address);
	is_ipv6 = address.ss_family == AF_INET6;
	ctl_error("serving http://%s%s%s:%s/%s", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "",
		  port, server->is_loopback ? "" : ", to whoever reaches it");
}

static int server_listen(struct server *server, const char *listen)
{
	const unsigned int flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
				   LEV_OPT_REUSEABLE;
	struct addrinfo *address;
	evutil_socket_t fd;
	int r;

	r = passed_socket(&fd);
	if (r < 0)
		return -EINVAL;
	if (r > 0) {
		server->listener = evconnlistener_new(server->base, NULL, NULL, flags, 0, fd);
	} else {
		if (!read_address(listen, &address))
			return -EINVAL;
		server->listener = evconnlistener_new_bind(server->base, NULL, NULL, flags, BACKLOG,
							   address->ai_addr,
							   (int)address->ai_addrlen);
		freeaddrinfo(address);
	}
	if (!server->listener) {
		ctl_error("cannot serve on %s: %s", listen, strerror(errno));
		return -EIO;
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	return 0;
}

static void on_signal(evutil_socket_t number, short what, void *userdata)
{
	(void)number;
	(void)what;
	event_base_loopbreak(userdata);
}

/* libevent would write to standard error itself, and wait for whoever reads that. */
static void on_libevent_message(int severity, const char *text)
{
	if (severity >= EVENT_LOG_WARN)
		ctl_error("libevent: %s", text);
}

static void on_libevent_failure(int error)
{
	(void)error;
	ctl_error_finish();
	exit(CTL_FAILED);
}

static int server_init(struct server *server)
{
	static const int numbers[] = { SIGINT, SIGTERM };
	const struct timeval second = { .tv_sec = 1 };

	event_set_log_callback(on_libevent_message);
	event_set_fatal_callback(on_libevent_failure);
	server->base = event_base_new();
	server->http = server->base ? evhttp_new(server->base) : NULL;
	if (!server->http)
		return -ENOMEM;

	evhttp_set_timeout(server->http, DEADLINE_SECONDS);
	evhttp_set_max_headers_size(server->http, MAX_HEADERS_BYTES);
	evhttp_set_max_body_size(server->http, 0);
	/* All that it knows: of others it says 501 itself, of these we say what is served. */
	evhttp_set_allowed_methods(server->http,
				   EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
					   EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
					   EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
					   EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	evhttp_set_bevcb(server->http, on_connection, server);
	evhttp_set_gencb(server->http, on_request, server);

	server->tick = event_new(server->base, -1, EV_PERSIST, on_tick, server);
	if (!server->tick || event_add(server->tick, &second) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < 2; i++) {
		server->signals[i] = evsignal_new(server->base, numbers[i], on_signal, server->base);
		if (!server->signals[i] || event_add(server->signals[i], NULL) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void server_deinit(struct server *server)
{
	struct connection *connection;

	if (server->http)
		evhttp_free(server->http);	/* and its listener, and what is connected */
	while ((connection = TAILQ_FIRST(&server->connections)) != NULL) {
		bufferevent_decref(connection->bufferevent);
		connection_free(server, connection);
	}
	for (size_t i = 0; i < 2; i++)
		if (server->signals[i])
			event_free(server->signals[i]);
	if (server->tick)
		event_free(server->tick);
	if (server->base)
		event_base_free(server->base);
	sampler_free(server->sampler);
}

static int serve(struct server *server, const struct ctl_options *options)
{
	int r = server_init(server);

	if (r == 0)
		r = server_listen(server, options->listen);
	if (r < 0)
		return r;
	announce(server);
	r = sampler_new(options, &server->sampler);
	if (r < 0)
		return r;
	if (!evhttp_bind_listener(server->http, server->listener))
		return -ENOMEM;
	manager_say_ready();
	return event_base_dispatch(server->base) < 0 ? -EIO : 0;
}

enum ctl_exit ctl_serve(const struct ctl_options *options)
{
	struct server server = { 0 };
	int r;

	TAILQ_INIT(&server.connections);
	signal(SIGPIPE, SIG_IGN);
	r = ctl_error_start_writer();
	if (r == 0)
		r = serve(&server, options);
	server_deinit(&server);
	if (r == -ENOMEM || r == -EAGAIN)
		ctl_error("%s", strerror(-r));
	ctl_error_finish();
	return r == 0 ? CTL_OK : r == -EINVAL ? CTL_USAGE : CTL_FAILED;
}
