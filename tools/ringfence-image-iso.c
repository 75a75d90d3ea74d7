/*
 * The bootable ISO, by grub-mkrescue: for BIOS and UEFI as far as GRUB's platform packages are
 * present. grub-mkrescue works inside the stage, so that what it leaves goes away with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/ringfence-image.h"

/* The partition maps are for GRUB's own start, which complains about each that is missing. */
#define GRUB_MODULES                                                                             \
	"multiboot2 normal all_video cpuid part_acorn part_amiga part_apple part_bsd part_dfly " \
	"part_dvh part_gpt part_msdos part_plan part_sun part_sunpc"

#define STAGE_ISO "image.iso"
#define STAGE_LOG "log"

/* Becomes GRUB's tool, which has two names, with its words in the log. Only in the child. */
static void NORETURN grub_exec(const struct stage *stage)
{
	static const char *const names[] = { "grub-mkrescue", "grub2-mkrescue" };
	static const char *const arguments[] = {
		"grub-mkrescue",
		"--output=" STAGE_ISO,
		"--install-modules=" GRUB_MODULES,
		"--fonts=",
		"--locales=",
		"--themes=",
		"root",
		"--",
		"-volid",
		"RINGFENCE",
		NULL,
	};
	const int log = openat(stage->fd, STAGE_LOG, O_WRONLY | O_CREAT, 0600);

	if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0 ||
	    fchdir(stage->fd) != 0 || setenv("TMPDIR", ".", 1) != 0)
		_exit(EXIT_FAILURE);
	sigprocmask(SIG_SETMASK, &stage->signals, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		execvp(names[i], (char *const *)(uintptr_t)arguments);
	dprintf(STDERR_FILENO,
		"grub-mkrescue: %s (Debian: apt install grub-common grub-pc-bin "
		"grub-efi-amd64-bin xorriso mtools)\n",
		strerror(errno));
	_exit(EXIT_FAILURE);
}

static void log_print(const struct stage *stage)
{
	const int fd = openat(stage->fd, STAGE_LOG, O_RDONLY | O_CLOEXEC);
	FILE *log = fd < 0 ? NULL : fdopen(fd, "r");
	int c;

	if (log == NULL)
		return;
	while ((c = fgetc(log)) != EOF)
		fputc(c, stderr);
	fclose(log);
}

static bool grub_run(const struct stage *stage)
{
	const pid_t child = fork();
	int status = 0;

	if (child == 0)
		grub_exec(stage);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return file_report("the ISO");
	if (status == 0)
		return true;
	log_print(stage);
	fputs("ringfence-image: grub-mkrescue failed; its messages are above\n", stderr);
	return false;
}

/* The tree that grub-mkrescue packs. */
static bool root_fill(struct image_plan *plan, struct image_programs *programs, int stage)
{
	const int root = directory_make(stage, "root");
	const int boot = root < 0 ? -1 : directory_make(root, "boot");
	const int grub = boot < 0 ? -1 : directory_make(boot, "grub");
	const bool filled = grub >= 0 && file_copy(&programs->core, boot, "core.elf") &&
			    file_copy(&programs->supervisor, boot, "supervisor.elf") &&
			    file_copy(&programs->vmm, boot, "vmm.elf") &&
			    image_write_files(plan, programs->core_cmdline, boot);

	if (!filled)
		return false;
	if (renameat(boot, "grub.cfg", grub, "grub.cfg") != 0)
		return file_report("grub.cfg");
	return true;
}

bool image_write_iso(struct image_plan *plan, struct image_programs *programs, const char *path)
{
	struct stage stage;
	bool written;

	if (!stage_open(&stage, path))
		return false;
	written = root_fill(plan, programs, stage.fd) && grub_run(&stage) &&
		  stage_commit(&stage, STAGE_ISO);
	stage_close(&stage);
	return written;
}
