/* SPDX-License-Identifier: MIT */
#include "barrier.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "build_config.h"

bool barrier_is_there(void)
{
	long commands = MEMPOOL_SANITIZED ? -1 : syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	return commands >= 0 && (commands & MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

bool barrier_register(void)
{
	return !MEMPOOL_SANITIZED &&
	       syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
}

bool barrier_register_own(void)
{
	return !MEMPOOL_SANITIZED &&
	       syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool barrier_own(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool barrier_all(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

bool barrier_is_lost(void)
{
	return !barrier_all() && errno != ENOMEM;
}
