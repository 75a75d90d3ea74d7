/*
 * The plan as the files of an image: the manifest blob, GRUB's configuration, and a copy of each
 * file that a VM names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringfence-image.h"

static bool blob_write(const struct image_plan *plan, int directory)
{
	const size_t vm_bytes = plan->vm_count * sizeof(plan->vms[0]);
	const size_t file_bytes = plan->file_count * sizeof(plan->files[0].record);
	const size_t size = sizeof(struct manifest_header) + vm_bytes + file_bytes;
	struct manifest_header *header = calloc(1, size);
	struct manifest_vm *vms = (struct manifest_vm *)(header + 1);
	struct manifest_file *files = (struct manifest_file *)(vms + plan->vm_count);
	struct manifest opened;
	const char *why;
	bool written;

	if (header == NULL)
		return file_report("manifest.bin");
	*header = (struct manifest_header){ .magic = MANIFEST_MAGIC,
					    .version = MANIFEST_VERSION,
					    .length = (u32)size,
					    .vm_count = plan->vm_count,
					    .file_count = plan->file_count };
	memcpy(vms, plan->vms, vm_bytes);
	for (u32 i = 0; i < plan->file_count; i++)
		files[i] = plan->files[i].record;
	header->crc32 = manifest_crc32(header, size);

	/* The supervisor's own check, so that a disagreement shows here and not at boot. */
	if (manifest_open(header, size, &opened, &why) != ERR_OK) {
		fprintf(stderr, "ringfence-image: bug: wrote a blob that is refused: %s\n", why);
		abort();
	}
	written = file_write(directory, "manifest.bin", header, size);
	free(header);
	return written;
}

bool core_cmdline_allows(const char *cmdline)
{
	for (const char *p = cmdline; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~' || strchr("'\"\\", *p) != NULL)
			return false;
	}
	return true;
}

/* GRUB puts quotes around an argument with a space: each word becomes an argument of its own. */
static void core_line_write(FILE *out, const char *cmdline)
{
	fputs("multiboot2 /boot/core.elf", out);
	for (const char *p = cmdline + strspn(cmdline, " "); *p != '\0';) {
		const size_t word = strcspn(p, " ");

		fprintf(out, " '%.*s'", (int)word, p);
		p += word;
		p += strspn(p, " ");
	}
	fputc('\n', out);
}

/* No menu entry: GRUB runs the lines and boots at once. */
static bool grub_cfg_write(int directory, const char *core_cmdline, u32 file_count)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	bool written;

	if (out == NULL)
		return file_report("grub.cfg");
	/* Without a video driver the core would get no screen from UEFI, which has no text mode. */
	fputs("insmod all_video\n", out);
	core_line_write(out, core_cmdline);
	fputs("module2 /boot/supervisor.elf supervisor\n"
	      "module2 /boot/vmm.elf vmm\n"
	      "module2 /boot/manifest.bin manifest\n",
	      out);
	for (u32 i = 0; i < file_count; i++)
		fprintf(out, "module2 /boot/file-%u file:%u\n", i, i);
	/* What the core refuses before it can draw must find the screen in text mode. */
	fputs("if ! cpuid -l; then set gfxpayload=text; fi\n"
	      "boot\n",
	      out);
	written = fclose(out) == 0 ? file_write(directory, "grub.cfg", text, size)
				   : file_report("grub.cfg");
	free(text);
	return written;
}

bool image_write_files(struct image_plan *plan, const char *core_cmdline, int directory)
{
	char name[sizeof("file-") + 10];

	for (u32 i = 0; i < plan->file_count; i++) {
		snprintf(name, sizeof(name), "file-%u", i);
		if (!file_copy(&plan->files[i], directory, name))
			return false;
	}
	return blob_write(plan, directory) &&
	       grub_cfg_write(directory, core_cmdline, plan->file_count);
}

bool image_write_directory(struct image_plan *plan, const char *core_cmdline, const char *path)
{
	static const char name[] = "files"; /* inside: the stage itself is private to its owner */
	struct stage stage;
	int files;
	bool written;

	if (!stage_open(&stage, path))
		return false;
	files = directory_make(stage.fd, name);
	written = files >= 0 && image_write_files(plan, core_cmdline, files) &&
		  stage_commit(&stage, name);
	stage_close(&stage);
	return written;
}
