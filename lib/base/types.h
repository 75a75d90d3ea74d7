/* Integer, address and bit-field types shared by every program of the product. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* Addresses of different kinds do not mix: one-member structs cost nothing in machine code. */
typedef struct {
	u64 raw;
} gva_t; /* guest-virtual (linear) */
typedef struct {
	u64 raw;
} gpa_t; /* guest-physical */
typedef struct {
	u64 raw;
} hpa_t; /* host-physical */

static inline gva_t GVA(u64 raw)
{
	return (gva_t){ raw };
}

static inline gpa_t GPA(u64 raw)
{
	return (gpa_t){ raw };
}

static inline hpa_t HPA(u64 raw)
{
	return (hpa_t){ raw };
}

static inline gva_t gva_add(gva_t a, u64 bytes)
{
	return GVA(a.raw + bytes);
}

static inline gpa_t gpa_add(gpa_t a, u64 bytes)
{
	return GPA(a.raw + bytes);
}

static inline hpa_t hpa_add(hpa_t a, u64 bytes)
{
	return HPA(a.raw + bytes);
}

#define BIT64(n) (1ULL << (n))
#define BIT32(n) (1U << (n))
/* A register field as the manual prints it: high bit first. */
#define BITS64(high, low) ((~0ULL >> (63 - (high))) & (~0ULL << (low)))

static inline u64 field_get(u64 mask, u64 value)
{
	return (value & mask) >> __builtin_ctzll(mask);
}

static inline u64 field_set(u64 mask, u64 value, u64 field)
{
	return (value & ~mask) | ((field << __builtin_ctzll(mask)) & mask);
}

#define PAGE_SIZE  4096UL
#define PAGE_SHIFT 12
#define KIB	   1024UL
#define MIB	   (1024UL * KIB)
#define GIB	   (1024UL * MIB)

static inline u64 align_down(u64 value, u64 alignment)
{
	return value & ~(alignment - 1);
}

static inline u64 align_up(u64 value, u64 alignment)
{
	return align_down(value + alignment - 1, alignment);
}

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define static_assert _Static_assert
#define MUST_USE			__attribute__((warn_unused_result))
#define NORETURN			__attribute__((noreturn))
#define NOINLINE			__attribute__((noinline))
#define PACKED				__attribute__((packed))
#define ALIGNED(n)			__attribute__((aligned(n)))
#define PRINTF_LIKE(text, first)	__attribute__((__format__(__printf__, text, first)))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
