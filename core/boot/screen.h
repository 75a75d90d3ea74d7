/* The screen as a text console, so that a machine without a serial port shows its log too. */
#pragma once

#include "lib/base/types.h"

struct boot_info;

/* Finds VGA text mode or a linear framebuffer; without either, output is dropped. */
void screen_init(const struct boot_info *info);
void screen_put(u8 byte);
