/* SPDX-License-Identifier: MIT */
#include "passed.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Far more than a config of the 1 MiB that mempoold reads can become. */
#define MAX_BYTES (64 << 20)

int passed_read(int fd, char **ret_text)
{
	struct stat st;
	size_t size;
	char *text;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_BYTES)
		return -EPROTO;
	size = (size_t)st.st_size;
	text = malloc(size + 1);
	if (!text)
		return -ENOMEM;
	if (pread(fd, text, size, 0) != (ssize_t)size) {
		free(text);
		return -EPROTO;
	}
	for (size_t i = 0; i < size; i++)
		if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
			text[i] = '?';
	text[size] = '\0';
	*ret_text = text;
	return 0;
}
