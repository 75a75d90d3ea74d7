/* Where processors start: a page below 1 MiB that no boot loader leaves anything in. */
#pragma once

#define TRAMPOLINE 0x8000
