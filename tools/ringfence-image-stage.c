/*
 * A temporary directory beside the target: the target appears whole, by one rename, or not at all.
 * While it exists, the signals that ask us to end wait, so that nothing is left behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ringfence-image.h"

#define TREE_FDS 16 /* directories that the removal keeps open */

static sigset_t ending_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	return set;
}

bool stage_open(struct stage *stage, const char *target)
{
	const sigset_t ends = ending_signals();
	size_t length = strlen(target);

	*stage = (struct stage){ .target = target, .fd = -1 };
	while (length > 1 && target[length - 1] == '/')
		length--;
	if (asprintf(&stage->path, "%.*s.XXXXXX", (int)length, target) < 0)
		abort();
	sigprocmask(SIG_BLOCK, &ends, &stage->signals);
	if (mkdtemp(stage->path) != NULL)
		stage->fd = open(stage->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (stage->fd >= 0)
		return true;
	file_report(target);
	sigprocmask(SIG_SETMASK, &stage->signals, NULL);
	free(stage->path);
	return false;
}

bool stage_commit(const struct stage *stage, const char *name)
{
	sigset_t waiting;

	if (sigpending(&waiting) == 0 &&
	    (sigismember(&waiting, SIGINT) || sigismember(&waiting, SIGTERM) ||
	     sigismember(&waiting, SIGHUP)))
		return false;
	if (renameat(stage->fd, name, AT_FDCWD, stage->target) != 0)
		return file_report(stage->target);
	return true;
}

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

void stage_close(struct stage *stage)
{
	close(stage->fd);
	nftw(stage->path, entry_remove, TREE_FDS, FTW_DEPTH | FTW_PHYS);
	free(stage->path);
	sigprocmask(SIG_SETMASK, &stage->signals, NULL);
}
