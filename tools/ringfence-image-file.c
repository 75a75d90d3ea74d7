/*
 * Whole files: opened and checked once, copied with their checksum. What was checked stays open, so
 * that no other content can take its place before the copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/crc32.h"
#include "tools/ringfence-image.h"

#define FILE_MODE      0644
#define COPY_STEP      MIB
#define FILE_BYTES_MAX (4 * GIB - 1) /* boot modules have 32-bit addresses */

const char *image_file_open(struct image_file *file, const char *path)
{
	struct stat stat;
	/* O_NONBLOCK: a FIFO is refused below instead of waited for. */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *found = NULL;

	if (fd < 0 || fstat(fd, &stat) != 0)
		found = strerror(errno);
	else if (!S_ISREG(stat.st_mode))
		found = "not a regular file";
	else if (stat.st_size == 0)
		found = "an empty file";
	else if ((u64)stat.st_size > FILE_BYTES_MAX)
		found = "a file of 4G or more";
	if (found != NULL) {
		if (fd >= 0)
			close(fd);
		return found;
	}
	*file = (struct image_file){ .path = strdup(path),
				     .fd = fd,
				     .device = stat.st_dev,
				     .inode = stat.st_ino,
				     .record.bytes = (u64)stat.st_size };
	return NULL;
}

void image_file_close(struct image_file *file)
{
	close(file->fd);
	free(file->path);
}

bool file_report(const char *what)
{
	fprintf(stderr, "ringfence-image: cannot write %s: %s\n", what, strerror(errno));
	return false;
}

static bool bytes_write(int fd, const void *data, size_t bytes)
{
	for (const u8 *p = data; bytes > 0;) {
		const ssize_t written = write(fd, p, bytes);

		if (written < 0)
			return false;
		p += written;
		bytes -= (size_t)written;
	}
	return true;
}

static int file_create(int directory, const char *name)
{
	return openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
}

bool file_write(int directory, const char *name, const void *data, size_t bytes)
{
	const int fd = file_create(directory, name);
	const bool written = fd >= 0 && bytes_write(fd, data, bytes);

	if (fd < 0 || close(fd) != 0 || !written)
		return file_report(name);
	return true;
}

/* Counts and checksums what it copies. False with errno. */
static bool bytes_copy(int from, int to, struct manifest_file *copied)
{
	static u8 buffer[COPY_STEP];
	ssize_t got;

	*copied = (struct manifest_file){ 0 };
	while ((got = read(from, buffer, sizeof(buffer))) > 0) {
		if (!bytes_write(to, buffer, (size_t)got))
			return false;
		copied->bytes += (u64)got;
		copied->crc32 = crc32_update(copied->crc32, buffer, (size_t)got);
	}
	return got == 0;
}

bool file_copy(struct image_file *file, int directory, const char *name)
{
	const u64 expected = file->record.bytes;
	const int to = file_create(directory, name);
	const bool copied = to >= 0 && bytes_copy(file->fd, to, &file->record);

	if (to < 0 || close(to) != 0 || !copied) {
		fprintf(stderr, "ringfence-image: cannot copy %s: %s\n", file->path,
			strerror(errno));
		return false;
	}
	if (file->record.bytes != expected) {
		fprintf(stderr, "ringfence-image: %s changed while it was read\n", file->path);
		return false;
	}
	return true;
}

int directory_make(int parent, const char *name)
{
	int fd = -1;

	if (mkdirat(parent, name, 0777) == 0)
		fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		file_report(name);
	return fd;
}
