/* What the parts of ringfence-image share: the YAML source, the checked plan, and its writers. */
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <yaml.h>

#include "lib/abi/manifest.h"

/* ringfence-image-source.c: one YAML document whose nodes know their line and column. */
struct source {
	const char *path; /* as the user named it */
	yaml_document_t document;
	unsigned errors; /* reported so far */
};

/* Reads and parses `path`; false after a report on standard error. */
MUST_USE bool source_open(struct source *s, const char *path);
void source_close(struct source *s);
/* Prints "path:line:column: message" for the beginning of a node and counts it as an error. */
void source_report(struct source *s, const yaml_node_t *node, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* A node of the document by its index; NULL when there is none. */
const yaml_node_t *source_node(struct source *s, int index);
/* The one-line text of a node; NULL after a report that it is none. */
const char *source_text(struct source *s, const yaml_node_t *node, const char *expected);
/* Whether a node is a list that is not empty; false after a report. */
MUST_USE bool source_is_list(struct source *s, const yaml_node_t *node, const char *expected);

/* ringfence-image-file.c: whole files in and out. */
struct image_file {
	char *path;
	int fd; /* open since the check: what was checked is what is copied */
	dev_t device;
	ino_t inode;
	struct manifest_file record; /* file_copy() sets its crc32 */
};

/* Opens a file for the image: not empty, regular, small enough. NULL, or what was found instead. */
MUST_USE const char *image_file_open(struct image_file *file, const char *path);
void image_file_close(struct image_file *file);
/* These return false after a report. `directory` is a descriptor, the file must not exist. */
MUST_USE bool file_copy(struct image_file *file, int directory, const char *name);
MUST_USE bool file_write(int directory, const char *name, const void *data, size_t bytes);
bool file_report(const char *what); /* "cannot write ..." by errno; returns false */
/* Makes a directory and opens it; -1 after a report. */
int directory_make(int parent, const char *name);

/* ringfence-image-stage.c: a temporary directory beside the target, which a rename completes. */
struct stage {
	const char *target;
	char *path;
	int fd;
	sigset_t signals; /* to be restored; the stage holds back those that would end us */
};

/* False after a report; then there is nothing to close. */
MUST_USE bool stage_open(struct stage *stage, const char *target);
/* Moves what is complete to the target. */
MUST_USE bool stage_commit(const struct stage *stage, const char *name);
/* Removes the stage with all that is still in it. */
void stage_close(struct stage *stage);

/* ringfence-image-plan.c: what the manifest says, all of it checked. */
struct image_plan {
	struct manifest_vm vms[MANIFEST_VM_MAX];
	u32 vm_count;
	struct image_file files[MANIFEST_FILE_MAX];
	u32 file_count;
};

/* Fills a zeroed plan from a manifest; false after everything wrong with it was reported. */
MUST_USE bool plan_read(struct image_plan *plan, const char *path);

/* ringfence-image-write.c: the plan as the files of an image. */
/* Whether GRUB hands each word to the core as it is. */
bool core_cmdline_allows(const char *cmdline);
/* Writes manifest.bin, grub.cfg, file-0 ... into an open directory; false after a report. */
MUST_USE bool image_write_files(struct image_plan *plan, const char *core_cmdline, int directory);
/* The same as a whole new directory. */
MUST_USE bool image_write_directory(struct image_plan *plan, const char *core_cmdline,
				    const char *path);

/* ringfence-image-iso.c */
struct image_programs {
	struct image_file core, supervisor, vmm;
	const char *core_cmdline;
};

/* Writes a bootable ISO; false after a report, and then there is no new file. */
MUST_USE bool image_write_iso(struct image_plan *plan, struct image_programs *programs,
			      const char *path);
