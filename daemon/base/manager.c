/* SPDX-License-Identifier: MIT */
#include "daemon/base/manager.h"

#include <stdlib.h>
#include <systemd/sd-daemon.h>

_Static_assert(MANAGER_FIRST_FD == SD_LISTEN_FDS_START, "what sd_listen_fds(3) says");

int manager_handed(char ***ret_names)
{
	return sd_listen_fds_with_names(1, ret_names);
}

int manager_is_listening(int fd, int family, int type)
{
	return sd_is_socket(fd, family, type, 1);
}

bool manager_watches(uint64_t *ret_usec)
{
	return sd_watchdog_enabled(0, ret_usec) > 0;
}

const char *manager_socket(void)
{
	return getenv("NOTIFY_SOCKET");
}

void manager_say_ready(void)
{
	sd_notify(0, "READY=1");
}
