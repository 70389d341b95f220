/* SPDX-License-Identifier: MIT */
#include "support/private_daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_TIMEOUT_MS 600000	/* then it hangs */
#define LOG_TAIL_BYTES 4000

const char private_daemon_guide_pools[] =
	"    pools:\n"
	"      - { chunk_size: 128, chunk_count: 10000 }\n"
	"      - { chunk_size: 1024, chunk_count: 5000 }\n"
	"      - { chunk_size: 4096, chunk_count: 1000 }\n";

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void die(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- folder ---- */

static void write_config(const struct private_daemon *daemon, const char *segment_keys)
{
	FILE *file = fopen(daemon->config_path, "we");

	if (!file)
		die("%s: %s", daemon->config_path, strerror(errno));
	fprintf(file,
		"socket: { path: %s }\n"
		"limits: { clients: 4096, clients_per_user: 4096 }\n"
		"segments:\n"
		"  - name: %s\n%s",
		daemon->socket_path, daemon->segment, segment_keys);
	if (fclose(file) != 0)
		die("%s: %s", daemon->config_path, strerror(errno));
}

static void open_notify(struct private_daemon *daemon)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", daemon->notify_path);
	daemon->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (daemon->notify_fd < 0 ||
	    bind(daemon->notify_fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		die("%s: %s", daemon->notify_path, strerror(errno));
}

void private_daemon_init(struct private_daemon *daemon, const char *segment_keys)
{
	*daemon = (struct private_daemon){ .pid = 0 };
	snprintf(daemon->folder, sizeof(daemon->folder), "/tmp/mempool-private-XXXXXX");
	if (!mkdtemp(daemon->folder))
		die("%s: %s", daemon->folder, strerror(errno));
	snprintf(daemon->socket_path, sizeof(daemon->socket_path), "%s/sock", daemon->folder);
	snprintf(daemon->config_path, sizeof(daemon->config_path), "%s/mempool.yaml",
		 daemon->folder);
	snprintf(daemon->notify_path, sizeof(daemon->notify_path), "%s/notify", daemon->folder);
	snprintf(daemon->log_path, sizeof(daemon->log_path), "%s/log", daemon->folder);
	snprintf(daemon->segment, sizeof(daemon->segment), "private-%d", (int)getpid());
	write_config(daemon, segment_keys);
	open_notify(daemon);
}

/* All whose name begins so. */
static void remove_files(const char *folder, const char *prefix)
{
	struct dirent *entry;
	DIR *stream = opendir(folder);
	char path[512];

	if (!stream)
		return;
	while ((entry = readdir(stream))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		unlink(path);
	}
	closedir(stream);
}

void private_daemon_remove_objects(const struct private_daemon *daemon)
{
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "mempool-%s.", daemon->segment);
	remove_files("/dev/shm", prefix);
}

void private_daemon_deinit(struct private_daemon *daemon)
{
	private_daemon_kill(daemon);
	private_daemon_remove_objects(daemon);
	close(daemon->notify_fd);
	remove_files(daemon->folder, "");
	rmdir(daemon->folder);
}

void private_daemon_object(const char *segment, char ret_name[static PRIVATE_DAEMON_NAME_BYTES])
{
	const char *folder = "/dev/shm";
	char pattern[PRIVATE_DAEMON_NAME_BYTES];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/mempool-%s.1.*", folder, segment);
	if (glob(pattern, 0, NULL, &found) != 0)
		die("no object of %s", segment);
	snprintf(ret_name, PRIVATE_DAEMON_NAME_BYTES, "%s", found.gl_pathv[0] + strlen(folder));
	globfree(&found);
}

void private_daemon_print_log(const struct private_daemon *daemon)
{
	FILE *file = fopen(daemon->log_path, "re");
	char line[1024];

	/* From the middle of a line on: so be it. */
	if (file && fseek(file, -LOG_TAIL_BYTES, SEEK_END) < 0)
		rewind(file);
	while (file && fgets(line, sizeof(line), file))
		fputs(line, stderr);
	if (file)
		fclose(file);
}

/* ---- life and death ---- */

static void drain_notify(const struct private_daemon *daemon)
{
	char text[1024];

	while (recv(daemon->notify_fd, text, sizeof(text), 0) >= 0)
		;
}

static void run(const struct private_daemon *daemon, pid_t parent)
{
	int log_fd = open(daemon->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	const char *path = getenv("MEMPOOLD");

	/* Of another build, where bench/run --against says so. */
	if (!path)
		path = MEMPOOLD;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Not interrupted from the terminal: who started it decides. */
	setpgid(0, 0);
	if (getppid() != parent || log_fd < 0)
		_exit(126);
	dup2(log_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	setenv("NOTIFY_SOCKET", daemon->notify_path, 1);
	/* A service manager of our own is not its. */
	unsetenv("RUNTIME_DIRECTORY");
	execl(path, path, "--config", daemon->config_path, "--foreground", NULL);
	_exit(127);
}

void private_daemon_spawn(struct private_daemon *daemon)
{
	pid_t parent = getpid();

	drain_notify(daemon);
	daemon->pid = fork();
	if (daemon->pid < 0)
		die("fork: %s", strerror(errno));
	if (daemon->pid == 0)
		run(daemon, parent);
}

bool private_daemon_is_ready(struct private_daemon *daemon, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = daemon->notify_fd, .events = POLLIN };
	double end = seconds_now() + timeout_ms / 1e3;
	char text[1024];

	do {
		ssize_t n = recv(daemon->notify_fd, text, sizeof(text) - 1, 0);
		double left = end - seconds_now();

		if (n >= 0) {
			text[n] = '\0';
			if (strstr(text, "READY=1"))
				return true;
		} else if (left > 0) {
			poll(&poll_fd, 1, (int)(left * 1e3) + 1);
		}
	} while (seconds_now() < end);
	return false;
}

double private_daemon_start(struct private_daemon *daemon)
{
	double begin = seconds_now();

	private_daemon_spawn(daemon);
	if (!private_daemon_is_ready(daemon, START_TIMEOUT_MS)) {
		private_daemon_print_log(daemon);
		private_daemon_deinit(daemon);
		die("mempoold did not become ready");
	}
	return seconds_now() - begin;
}

void private_daemon_kill(struct private_daemon *daemon)
{
	if (!daemon->pid)
		return;
	kill(daemon->pid, SIGKILL);
	waitpid(daemon->pid, NULL, 0);
	daemon->pid = 0;
}

void private_daemon_stop(struct private_daemon *daemon)
{
	int status;

	kill(daemon->pid, SIGTERM);
	waitpid(daemon->pid, &status, 0);
	daemon->pid = 0;
	if (status != 0) {
		private_daemon_print_log(daemon);
		private_daemon_deinit(daemon);
		die("mempoold ended with status %#x", (unsigned int)status);
	}
}
