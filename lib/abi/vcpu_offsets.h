/* Offsets of general registers in struct vcpu_page, for assembly; checked in vcpu.h. */
#pragma once

#define GPR_OFFSET_RAX 0
#define GPR_OFFSET_RCX 8
#define GPR_OFFSET_RDX 16
#define GPR_OFFSET_RBX 24
#define GPR_OFFSET_RSP 32
#define GPR_OFFSET_RBP 40
#define GPR_OFFSET_RSI 48
#define GPR_OFFSET_RDI 56
#define GPR_OFFSET_R8  64
#define GPR_OFFSET_R9  72
#define GPR_OFFSET_R10 80
#define GPR_OFFSET_R11 88
#define GPR_OFFSET_R12 96
#define GPR_OFFSET_R13 104
#define GPR_OFFSET_R14 112
#define GPR_OFFSET_R15 120
