/* SPDX-License-Identifier: MIT */
#include "daemon/base/manager.h"

#include <stddef.h>
#include <stdlib.h>

#include "daemon/base/log.h"

int manager_handed(char ***ret_names)
{
	static const char *const from_manager[] = {
		"LISTEN_FDS",
		"NOTIFY_SOCKET",
		"WATCHDOG_USEC",
	};

	(void)ret_names;
	for (size_t i = 0; i < sizeof(from_manager) / sizeof(from_manager[0]); i++) {
		if (!getenv(from_manager[i]))
			continue;
		log_warning("%s is set, but this program was built without libsystemd: it takes over no "
			    "socket and no memory, and does not say when it is ready or that it is alive",
			    from_manager[i]);
		break;
	}
	return 0;
}

int manager_is_listening(int fd, int family, int type)
{
	(void)fd;
	(void)family;
	(void)type;
	return 0;
}

bool manager_watches(uint64_t *ret_usec)
{
	(void)ret_usec;
	return false;
}

const char *manager_socket(void)
{
	return NULL;
}

void manager_say_ready(void)
{
}
