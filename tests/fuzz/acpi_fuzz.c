/*
 * The host's ACPI tables and the boot loader's information from any bytes: nothing outside the
 * given memory is looked at, and what comes out stays inside its bounds. Tables get their checksum
 * repaired at a place that the input chooses, so that more than the first check is reached.
 */
#include <stdlib.h>
#include <string.h>

#include "core/boot/acpi.c"
#include "core/boot/boot_info.c"
#include "core/cpu/cpu.h"
#include "core/mem/core_map.h"
#include "tests/support/fake_log.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define BASE	    0x1000UL
#define TABLE_BYTES 36U
#define COPIES_MAX  (2 * ROOT_ENTRIES_MAX + 1) /* each table, and the DSDT of each FADT */

static u8 *memory;
static u64 memory_bytes;
static u8 *copy[COPIES_MAX];
static u32 copy_count;

static void require(bool fact)
{
	if (!fact)
		abort();
}

/* Memory that the machine does not have reads as zero, as far as the processor can address it. */
void window_read(hpa_t from, void *to, u64 bytes)
{
	u64 at = from.raw - BASE;

	require(from.raw + bytes <= BIT64(cpu_features.physical_bits));
	memset(to, 0, bytes);
	if (at < memory_bytes)
		memcpy(to, memory + at, min_u64(bytes, memory_bytes - at));
}

/* Exact copies: a read beyond one is the sanitizer's. They stay until the end of the run. */
const void *core_map_table(hpa_t physical, u64 bytes)
{
	require(physical.raw + bytes <= BIT64(cpu_features.physical_bits));
	require(copy_count < COPIES_MAX);
	copy[copy_count] = malloc(bytes);
	window_read(physical, copy[copy_count], bytes);
	return copy[copy_count++];
}

static void seal(u64 at)
{
	u32 length;
	u8 sum = 0;

	if (at + TABLE_BYTES > memory_bytes)
		return;
	memcpy(&length, memory + at + 4, 4);
	if (length > memory_bytes - at)
		return;
	for (u32 i = 0; i < length; i++)
		sum = (u8)(sum + memory[at + i]);
	memory[at + 9] = (u8)(memory[at + 9] - sum);
}

static void check(void)
{
	require(boot_info.module_count <= BOOT_MODULE_MAX && boot_info.ram_count <= BOOT_RAM_MAX);
	require(memchr(boot_info.cmdline, '\0', sizeof(boot_info.cmdline)) != NULL);
	for (u32 i = 0; i < boot_info.module_count; i++) {
		const struct boot_module *m = &boot_info.module[i];

		require(memchr(m->name, '\0', sizeof(m->name)) != NULL);
		require(m->start.raw % PAGE_SIZE == 0 && m->bytes <= UINT32_MAX);
	}
	for (u32 i = 0; i < boot_info.ram_count; i++)
		require(boot_info.ram[i].base + boot_info.ram[i].size >= boot_info.ram[i].base);
	require(acpi_info.ioapic_count <= ACPI_IOAPIC_MAX);
	(void)boot_option("quiet");
	(void)boot_module_find("vmm");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	jmp_buf panicked;

	if (size < 8)
		return 0;
	cpu_features.physical_bits = 36;
	memory = malloc(size);
	memory_bytes = size;
	memcpy(memory, data, size);
	memset(&acpi_info, 0, sizeof(acpi_info));
	memset(&boot_info, 0, sizeof(boot_info));
	/* The last bytes say where tables are. */
	for (u32 i = 1; i <= 4; i++)
		seal(data[size - i] * 4U);
	fake_log.on_panic = &panicked;
	if (setjmp(panicked) == 0) {
		boot_info_read(MULTIBOOT2_BOOT_MAGIC, HPA(BASE));
		acpi_init();
	}
	fake_log.on_panic = NULL;
	check();
	while (copy_count > 0)
		free(copy[--copy_count]);
	free(memory);
	return 0;
}
