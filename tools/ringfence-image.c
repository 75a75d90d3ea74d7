/*
 * ringfence-image: checks a YAML manifest (docs/manifest.md) and makes of it the binary blob that
 * the supervisor reads, alone or inside a bootable ISO. Host program.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringfence-image.h"

#define EXIT_REFUSED 2 /* the command line or the manifest; EXIT_FAILURE: the machine */

enum option_id {
	OPTION_MANIFEST,
	OPTION_OUTPUT,
	OPTION_ISO,
	OPTION_CORE,
	OPTION_SUPERVISOR,
	OPTION_VMM,
	OPTION_CORE_CMDLINE,
	OPTION_COUNT,
	OPTION_HELP = OPTION_COUNT
};

static const struct option options[] = {
	{ "manifest", required_argument, NULL, OPTION_MANIFEST },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "iso", required_argument, NULL, OPTION_ISO },
	{ "core", required_argument, NULL, OPTION_CORE },
	{ "supervisor", required_argument, NULL, OPTION_SUPERVISOR },
	{ "vmm", required_argument, NULL, OPTION_VMM },
	{ "core-cmdline", required_argument, NULL, OPTION_CORE_CMDLINE },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char usage[] =
	"Usage: ringfence-image --manifest FILE\n"
	"       ringfence-image --manifest FILE --output DIR [--core-cmdline TEXT]\n"
	"       ringfence-image --manifest FILE --iso FILE --core FILE --supervisor FILE --vmm FILE\n"
	"                       [--core-cmdline TEXT]\n"
	"\n"
	"Checks a YAML manifest of virtual machines; with --output or --iso, makes an image of it.\n"
	"\n"
	"  --manifest FILE      the manifest; paths in it are relative to its directory\n"
	"  --output DIR         write manifest.bin, grub.cfg and the files file-0, file-1 ... to a\n"
	"                       directory, new or empty\n"
	"  --iso FILE           write an ISO that boots on BIOS and UEFI machines (grub-mkrescue)\n"
	"  --core FILE          the programs of the image: core.elf,\n"
	"  --supervisor FILE    supervisor.elf\n"
	"  --vmm FILE           and vmm.elf\n"
	"  --core-cmdline TEXT  words for the core\n"
	"  --help               this text\n"
	"\n"
	"Exit status: 0 done, 1 the image could not be written, 2 the command line or the manifest\n"
	"is wrong. When the status is not 0, nothing is written.\n";

static void NORETURN refuse(const char *what, const char *name)
{
	fprintf(stderr, "ringfence-image: %s%s; see --help\n", what, name);
	exit(EXIT_REFUSED);
}

static void options_read(int argc, char **argv, const char **values)
{
	int id;

	opterr = 0;
	while ((id = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (id == OPTION_HELP) {
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		}
		if (id == ':')
			refuse("missing value after ", argv[optind - 1]);
		if (id == '?')
			refuse("unknown option ", argv[optind - 1]);
		if (values[id] != NULL)
			refuse("given twice: --", options[id].name);
		values[id] = optarg;
	}
	if (optind < argc)
		refuse("unexpected argument ", argv[optind]);
}

static void options_check(const char *const *values)
{
	const bool iso = values[OPTION_ISO] != NULL;

	if (values[OPTION_MANIFEST] == NULL)
		refuse("missing option --manifest", "");
	if (iso && values[OPTION_OUTPUT] != NULL)
		refuse("--output and --iso exclude each other", "");
	for (int id = OPTION_CORE; id <= OPTION_VMM; id++) {
		if (iso && values[id] == NULL)
			refuse("--iso needs --", options[id].name);
		if (!iso && values[id] != NULL)
			refuse("only --iso takes --", options[id].name);
	}
	if (values[OPTION_CORE_CMDLINE] != NULL &&
	    !core_cmdline_allows(values[OPTION_CORE_CMDLINE]))
		refuse("--core-cmdline takes printable ASCII without quotes and backslashes", "");
}

static void program_open(struct image_file *file, const char *const *values, int id)
{
	const char *found = image_file_open(file, values[id]);

	if (found != NULL) {
		fprintf(stderr, "ringfence-image: --%s %s: %s\n", options[id].name, values[id],
			found);
		exit(EXIT_REFUSED);
	}
}

int main(int argc, char **argv)
{
	static struct image_plan plan;
	const char *values[OPTION_COUNT] = { NULL };
	static struct image_programs programs = { .core_cmdline = "" };
	bool written = true;

	options_read(argc, argv, values);
	options_check(values);
	if (!plan_read(&plan, values[OPTION_MANIFEST]))
		return EXIT_REFUSED;
	if (values[OPTION_CORE_CMDLINE] != NULL)
		programs.core_cmdline = values[OPTION_CORE_CMDLINE];
	if (values[OPTION_OUTPUT] != NULL)
		written =
			image_write_directory(&plan, programs.core_cmdline, values[OPTION_OUTPUT]);
	if (values[OPTION_ISO] != NULL) {
		program_open(&programs.core, values, OPTION_CORE);
		program_open(&programs.supervisor, values, OPTION_SUPERVISOR);
		program_open(&programs.vmm, values, OPTION_VMM);
		written = image_write_iso(&plan, &programs, values[OPTION_ISO]);
	}
	return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
