/* The decoder: operands of every form in every mode, prefixes, lengths, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/emul/decode.h"

#define R(name)                            \
	{                                  \
		OPERAND_REG, GPR_##name, 0 \
	}
#define H(name)                             \
	{                                   \
		OPERAND_HIGH, GPR_##name, 0 \
	}
#define M                         \
	{                         \
		OPERAND_MEM, 0, 0 \
	}
#define I                         \
	{                         \
		OPERAND_IMM, 0, 0 \
	}
#define NO                         \
	{                          \
		OPERAND_NONE, 0, 0 \
	}
#define NB REG_NONE

struct row {
	const char *text; /* as a disassembler prints it */
	u8 mode;
	u8 length;
	u8 bytes[INSN_BYTES_MAX];
	u8 op, size, address_size, segment;
	struct operand dst, src;
	u8 base, index, scale;
	u64 displacement, immediate;
};

/* clang-format off */
static const struct row rows[] = {
	/* 64-bit mode: moves as compilers write them for device registers */
	{ "mov eax,[rdi]", 8, 2, { 0x8b, 0x07 },
	  OP_MOV, 4, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "mov [rsi],edx", 8, 2, { 0x89, 0x16 },
	  OP_MOV, 4, 8, SEG_DS, M, R(RDX), GPR_RSI, NB, 0, 0, 0 },
	{ "mov r9,[r13+0x10]", 8, 4, { 0x4d, 0x8b, 0x4d, 0x10 },
	  OP_MOV, 8, 8, SEG_DS, R(R9), M, GPR_R13, NB, 0, 0x10, 0 },
	{ "mov ax,[rbp-8]", 8, 4, { 0x66, 0x8b, 0x45, 0xf8 },
	  OP_MOV, 2, 8, SEG_SS, R(RAX), M, GPR_RBP, NB, 0, (u64)-8, 0 },
	{ "mov [rsp+0x1234],cl", 8, 7, { 0x88, 0x8c, 0x24, 0x34, 0x12, 0, 0 },
	  OP_MOV, 1, 8, SEG_SS, M, R(RCX), GPR_RSP, NB, 0, 0x1234, 0 },
	{ "mov [r12],eax", 8, 4, { 0x41, 0x89, 0x04, 0x24 },
	  OP_MOV, 4, 8, SEG_DS, M, R(RAX), GPR_R12, NB, 0, 0, 0 },
	{ "mov eax,[rax+r12*8+0x7f]", 8, 5, { 0x42, 0x8b, 0x44, 0xe0, 0x7f },
	  OP_MOV, 4, 8, SEG_DS, R(RAX), M, GPR_RAX, GPR_R12, 3, 0x7f, 0 },
	{ "mov eax,[rcx*4-0x80000000]", 8, 7, { 0x8b, 0x04, 0x8d, 0, 0, 0, 0x80 },
	  OP_MOV, 4, 8, SEG_DS, R(RAX), M, NB, GPR_RCX, 2, 0xffffffff80000000, 0 },
	{ "mov eax,ds:0xffffffffffffe0f0", 8, 7, { 0x8b, 0x04, 0x25, 0xf0, 0xe0, 0xff, 0xff },
	  OP_MOV, 4, 8, SEG_DS, R(RAX), M, NB, NB, 0, 0xffffffffffffe0f0, 0 },
	{ "REX.B does not make it r13", 8, 7, { 0x41, 0x8b, 0x05, 0, 0x10, 0, 0 },
	  OP_MOV, 4, 8, SEG_DS, R(RAX), M, NB, NB, 0, 0x1000, 0 },
	{ "nor in a SIB byte", 8, 8, { 0x41, 0x8b, 0x04, 0x25, 0, 0x10, 0, 0 },
	  OP_MOV, 4, 8, SEG_DS, R(RAX), M, NB, NB, 0, 0x1000, 0 },
	{ "mov [rip+0x1000],ecx", 8, 6, { 0x89, 0x0d, 0, 0x10, 0, 0 },
	  OP_MOV, 4, 8, SEG_DS, M, R(RCX), NB, NB, 0, 0x1000, 0 },
	{ "mov dword [rdi+0xb0],0", 8, 10, { 0xc7, 0x87, 0xb0, 0, 0, 0, 0, 0, 0, 0 },
	  OP_MOV, 4, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0xb0, 0 },
	{ "mov qword [rdi],-2", 8, 7, { 0x48, 0xc7, 0x07, 0xfe, 0xff, 0xff, 0xff },
	  OP_MOV, 8, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0, (u64)-2 },
	{ "mov word [rdi],0x8000", 8, 5, { 0x66, 0xc7, 0x07, 0, 0x80 },
	  OP_MOV, 2, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0, 0xffffffffffff8000 },
	{ "mov byte [rdi],0x12", 8, 3, { 0xc6, 0x07, 0x12 },
	  OP_MOV, 1, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0, 0x12 },
	{ "mov ah,[rdi]", 8, 2, { 0x8a, 0x27 },
	  OP_MOV, 1, 8, SEG_DS, H(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "mov spl,[rdi] (REX without bits)", 8, 3, { 0x40, 0x8a, 0x27 },
	  OP_MOV, 1, 8, SEG_DS, R(RSP), M, GPR_RDI, NB, 0, 0, 0 },
	{ "mov [rdi],bh", 8, 2, { 0x88, 0x3f },
	  OP_MOV, 1, 8, SEG_DS, M, H(RBX), GPR_RDI, NB, 0, 0, 0 },
	{ "movabs eax,[0xfee00020]", 8, 9, { 0xa1, 0x20, 0, 0xe0, 0xfe, 0, 0, 0, 0 },
	  OP_MOV, 4, 8, SEG_DS, R(RAX), M, NB, NB, 0, 0xfee00020, 0 },
	{ "movabs [..],al", 8, 9, { 0xa2, 1, 2, 3, 4, 5, 6, 7, 0x88 },
	  OP_MOV, 1, 8, SEG_DS, M, R(RAX), NB, NB, 0, 0x8807060504030201, 0 },
	{ "addr32 mov eax,ds:0xfee00020", 8, 6, { 0x67, 0xa1, 0x20, 0, 0xe0, 0xfe },
	  OP_MOV, 4, 4, SEG_DS, R(RAX), M, NB, NB, 0, 0xfee00020, 0 },
	{ "mov eax,[edi]", 8, 3, { 0x67, 0x8b, 0x07 },
	  OP_MOV, 4, 4, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "mov eax,gs:[0x20]", 8, 8, { 0x65, 0x8b, 0x04, 0x25, 0x20, 0, 0, 0 },
	  OP_MOV, 4, 8, SEG_GS, R(RAX), M, NB, NB, 0, 0x20, 0 },
	{ "es does nothing, fs stays", 8, 4, { 0x64, 0x26, 0x8b, 0x07 },
	  OP_MOV, 4, 8, SEG_FS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "a REX before another prefix is void", 8, 4, { 0x48, 0x66, 0x8b, 0x07 },
	  OP_MOV, 2, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "REX.W beats 66", 8, 4, { 0x66, 0x48, 0x8b, 0x07 },
	  OP_MOV, 8, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "movzx eax,byte [rdi]", 8, 3, { 0x0f, 0xb6, 0x07 },
	  OP_MOVZX, 4, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "movsx rax,word [rdi]", 8, 4, { 0x48, 0x0f, 0xbf, 0x07 },
	  OP_MOVSX, 8, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "movsxd rax,dword [rdi]", 8, 3, { 0x48, 0x63, 0x07 },
	  OP_MOVSX, 8, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "movnti [rdi],rax", 8, 4, { 0x48, 0x0f, 0xc3, 0x07 },
	  OP_MOV, 8, 8, SEG_DS, M, R(RAX), GPR_RDI, NB, 0, 0, 0 },
	{ "movbe eax,[rdi]", 8, 4, { 0x0f, 0x38, 0xf0, 0x07 },
	  OP_MOVBE, 4, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "movbe [rdi],ax", 8, 5, { 0x66, 0x0f, 0x38, 0xf1, 0x07 },
	  OP_MOVBE, 2, 8, SEG_DS, M, R(RAX), GPR_RDI, NB, 0, 0, 0 },
	/* 64-bit mode: arithmetic */
	{ "or dword [rax],0x100", 8, 6, { 0x81, 0x08, 0, 1, 0, 0 },
	  OP_OR, 4, 8, SEG_DS, M, I, GPR_RAX, NB, 0, 0, 0x100 },
	{ "and qword [rax],-2", 8, 4, { 0x48, 0x83, 0x20, 0xfe },
	  OP_AND, 8, 8, SEG_DS, M, I, GPR_RAX, NB, 0, 0, (u64)-2 },
	{ "cmp byte [rax],0x80", 8, 3, { 0x80, 0x38, 0x80 },
	  OP_CMP, 1, 8, SEG_DS, M, I, GPR_RAX, NB, 0, 0, 0xffffffffffffff80 },
	{ "add eax,[r8]", 8, 3, { 0x41, 0x03, 0x00 },
	  OP_ADD, 4, 8, SEG_DS, R(RAX), M, GPR_R8, NB, 0, 0, 0 },
	{ "sbb [rax],bl", 8, 2, { 0x18, 0x18 },
	  OP_SBB, 1, 8, SEG_DS, M, R(RBX), GPR_RAX, NB, 0, 0, 0 },
	{ "xor eax,0x12345678", 8, 5, { 0x35, 0x78, 0x56, 0x34, 0x12 },
	  OP_XOR, 4, 8, SEG_DS, R(RAX), I, NB, NB, 0, 0, 0x12345678 },
	{ "test byte [rdi+2],0x40", 8, 4, { 0xf6, 0x47, 0x02, 0x40 },
	  OP_TEST, 1, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 2, 0x40 },
	{ "test word [rdi],0x4000", 8, 5, { 0x66, 0xf7, 0x07, 0, 0x40 },
	  OP_TEST, 2, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0, 0x4000 },
	{ "test [rdi],eax", 8, 2, { 0x85, 0x07 },
	  OP_TEST, 4, 8, SEG_DS, M, R(RAX), GPR_RDI, NB, 0, 0, 0 },
	{ "test al,0x20", 8, 2, { 0xa8, 0x20 },
	  OP_TEST, 1, 8, SEG_DS, R(RAX), I, NB, NB, 0, 0, 0x20 },
	{ "not dword [rdi]", 8, 2, { 0xf7, 0x17 },
	  OP_NOT, 4, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	{ "neg byte [rdi]", 8, 2, { 0xf6, 0x1f },
	  OP_NEG, 1, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	{ "inc dword [rdi]", 8, 2, { 0xff, 0x07 },
	  OP_INC, 4, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	{ "dec byte [rdi]", 8, 2, { 0xfe, 0x0f },
	  OP_DEC, 1, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	{ "shl dword [rdi],4", 8, 3, { 0xc1, 0x27, 0x04 },
	  OP_SHL, 4, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0, 4 },
	{ "shr byte [rdi],1", 8, 2, { 0xd0, 0x2f },
	  OP_SHR, 1, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0, 1 },
	{ "sar qword [rdi],cl", 8, 3, { 0x48, 0xd3, 0x3f },
	  OP_SAR, 8, 8, SEG_DS, M, R(RCX), GPR_RDI, NB, 0, 0, 0 },
	{ "xchg [rdi],eax", 8, 2, { 0x87, 0x07 },
	  OP_XCHG, 4, 8, SEG_DS, M, R(RAX), GPR_RDI, NB, 0, 0, 0 },
	{ "cmpxchg [rdi],ecx", 8, 3, { 0x0f, 0xb1, 0x0f },
	  OP_CMPXCHG, 4, 8, SEG_DS, M, R(RCX), GPR_RDI, NB, 0, 0, 0 },
	{ "xadd [rdi],cl", 8, 3, { 0x0f, 0xc0, 0x0f },
	  OP_XADD, 1, 8, SEG_DS, M, R(RCX), GPR_RDI, NB, 0, 0, 0 },
	{ "bt [rdi],eax", 8, 3, { 0x0f, 0xa3, 0x07 },
	  OP_BT, 4, 8, SEG_DS, M, R(RAX), GPR_RDI, NB, 0, 0, 0 },
	{ "btr dword [rdi],0x1f", 8, 4, { 0x0f, 0xba, 0x37, 0x1f },
	  OP_BTR, 4, 8, SEG_DS, M, I, GPR_RDI, NB, 0, 0, 0x1f },
	{ "sete [rdi]", 8, 3, { 0x0f, 0x94, 0x07 },
	  OP_SET, 1, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	{ "cmovb rax,[rdi]", 8, 4, { 0x48, 0x0f, 0x42, 0x07 },
	  OP_CMOV, 8, 8, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "push qword [rdi]", 8, 2, { 0xff, 0x37 },
	  OP_PUSH, 8, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	{ "push word [rdi]", 8, 3, { 0x66, 0xff, 0x37 },
	  OP_PUSH, 2, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	{ "pop qword [rdi]", 8, 2, { 0x8f, 0x07 },
	  OP_POP, 8, 8, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	/* 64-bit mode: strings */
	{ "movsq", 8, 2, { 0x48, 0xa5 },
	  OP_MOVS, 8, 8, SEG_DS, NO, NO, NB, NB, 0, 0, 0 },
	{ "movsb from fs", 8, 2, { 0x64, 0xa4 },
	  OP_MOVS, 1, 8, SEG_FS, NO, NO, NB, NB, 0, 0, 0 },
	{ "stosd addr32", 8, 2, { 0x67, 0xab },
	  OP_STOS, 4, 4, SEG_DS, NO, NO, NB, NB, 0, 0, 0 },
	{ "insd with REX.W", 8, 2, { 0x48, 0x6d },
	  OP_INS, 4, 8, SEG_DS, NO, NO, NB, NB, 0, 0, 0 },
	{ "outsw", 8, 2, { 0x66, 0x6f },
	  OP_OUTS, 2, 8, SEG_DS, NO, NO, NB, NB, 0, 0, 0 },
	/* 32-bit mode */
	{ "mov eax,[ebp]", 4, 3, { 0x8b, 0x45, 0 },
	  OP_MOV, 4, 4, SEG_SS, R(RAX), M, GPR_RBP, NB, 0, 0, 0 },
	{ "mov eax,ds:0xfee00030", 4, 6, { 0x8b, 0x05, 0x30, 0, 0xe0, 0xfe },
	  OP_MOV, 4, 4, SEG_DS, R(RAX), M, NB, NB, 0, 0xfffffffffee00030, 0 },
	{ "mov eax,ds:0xfee00030 short form", 4, 5, { 0xa1, 0x30, 0, 0xe0, 0xfe },
	  OP_MOV, 4, 4, SEG_DS, R(RAX), M, NB, NB, 0, 0xfee00030, 0 },
	{ "mov [bx+si-1],al", 4, 4, { 0x67, 0x88, 0x40, 0xff },
	  OP_MOV, 1, 2, SEG_DS, M, R(RAX), GPR_RBX, GPR_RSI, 0, (u64)-1, 0 },
	{ "mov ax,es:[edi]", 4, 4, { 0x26, 0x66, 0x8b, 0x07 },
	  OP_MOV, 2, 4, SEG_ES, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "mov ss:[edi],eax", 4, 3, { 0x36, 0x89, 0x07 },
	  OP_MOV, 4, 4, SEG_SS, M, R(RAX), GPR_RDI, NB, 0, 0, 0 },
	{ "mov eax,ds:[ebp+ecx*2]", 4, 5, { 0x3e, 0x8b, 0x44, 0x4d, 0 },
	  OP_MOV, 4, 4, SEG_DS, R(RAX), M, GPR_RBP, GPR_RCX, 1, 0, 0 },
	{ "push dword [edi]", 4, 2, { 0xff, 0x37 },
	  OP_PUSH, 4, 4, SEG_DS, M, NO, GPR_RDI, NB, 0, 0, 0 },
	/* 16-bit mode */
	{ "mov al,[bx+di+0x1234]", 2, 4, { 0x8a, 0x81, 0x34, 0x12 },
	  OP_MOV, 1, 2, SEG_DS, R(RAX), M, GPR_RBX, GPR_RDI, 0, 0x1234, 0 },
	{ "mov ax,[bp+si]", 2, 2, { 0x8b, 0x02 },
	  OP_MOV, 2, 2, SEG_SS, R(RAX), M, GPR_RBP, GPR_RSI, 0, 0, 0 },
	{ "mov ax,[bp+di+4]", 2, 3, { 0x8b, 0x43, 0x04 },
	  OP_MOV, 2, 2, SEG_SS, R(RAX), M, GPR_RBP, GPR_RDI, 0, 4, 0 },
	{ "mov ax,[si]", 2, 2, { 0x8b, 0x04 },
	  OP_MOV, 2, 2, SEG_DS, R(RAX), M, GPR_RSI, NB, 0, 0, 0 },
	{ "mov ax,[di]", 2, 2, { 0x8b, 0x05 },
	  OP_MOV, 2, 2, SEG_DS, R(RAX), M, GPR_RDI, NB, 0, 0, 0 },
	{ "mov ax,[0x8000]", 2, 4, { 0x8b, 0x06, 0, 0x80 },
	  OP_MOV, 2, 2, SEG_DS, R(RAX), M, NB, NB, 0, 0xffffffffffff8000, 0 },
	{ "mov ax,[bp+2]", 2, 3, { 0x8b, 0x46, 2 },
	  OP_MOV, 2, 2, SEG_SS, R(RAX), M, GPR_RBP, NB, 0, 2, 0 },
	{ "mov ax,[bx]", 2, 2, { 0x8b, 0x07 },
	  OP_MOV, 2, 2, SEG_DS, R(RAX), M, GPR_RBX, NB, 0, 0, 0 },
	{ "mov eax,[0xfee00020]", 2, 7, { 0x67, 0x66, 0xa1, 0x20, 0, 0xe0, 0xfe },
	  OP_MOV, 4, 4, SEG_DS, R(RAX), M, NB, NB, 0, 0xfee00020, 0 },
	{ "mov eax,[esp]", 2, 5, { 0x66, 0x67, 0x8b, 0x04, 0x24 },
	  OP_MOV, 4, 4, SEG_SS, R(RAX), M, GPR_RSP, NB, 0, 0, 0 },
	{ "mov word [bx],0x1234", 2, 4, { 0xc7, 0x07, 0x34, 0x12 },
	  OP_MOV, 2, 2, SEG_DS, M, I, GPR_RBX, NB, 0, 0, 0x1234 },
	{ "movzx eax,word [bx]", 2, 4, { 0x66, 0x0f, 0xb7, 0x07 },
	  OP_MOVZX, 4, 2, SEG_DS, R(RAX), M, GPR_RBX, NB, 0, 0, 0 },
	{ "insw", 2, 1, { 0x6d },
	  OP_INS, 2, 2, SEG_DS, NO, NO, NB, NB, 0, 0, 0 },
	{ "stosd", 2, 2, { 0x66, 0xab },
	  OP_STOS, 4, 2, SEG_DS, NO, NO, NB, NB, 0, 0, 0 },
	{ "pop word [bx]", 2, 2, { 0x8f, 0x07 },
	  OP_POP, 2, 2, SEG_DS, M, NO, GPR_RBX, NB, 0, 0, 0 },
};
/* clang-format on */

static void check_operand(const struct operand *got, const struct operand *want)
{
	assert_int_equal(got->kind, want->kind);
	if (want->kind == OPERAND_REG || want->kind == OPERAND_HIGH)
		assert_int_equal(got->reg, want->reg);
}

static void check_row(const struct row *row)
{
	struct insn insn;
	const char *reason;

	assert_int_equal(decode_insn(row->bytes, row->length, row->mode, &insn, &reason),
			 DECODE_OK);
	assert_int_equal(insn.length, row->length);
	assert_int_equal(insn.op, row->op);
	assert_int_equal(insn.operand_size, row->size);
	assert_int_equal(insn.address_size, row->address_size);
	assert_int_equal(insn.segment, row->segment);
	check_operand(&insn.dst, &row->dst);
	check_operand(&insn.src, &row->src);
	assert_int_equal(insn.memory.base, row->base);
	assert_int_equal(insn.memory.index, row->index);
	assert_int_equal(insn.memory.scale, row->scale);
	assert_int_equal(insn.memory.displacement, row->displacement);
	assert_int_equal(insn.immediate, row->immediate);
	assert_false(insn.lock);
}

static void operands_of_every_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i]);
}

static enum decode_result decode(unsigned mode, const char *bytes, size_t count, struct insn *insn)
{
	const char *reason = NULL;
	enum decode_result result = decode_insn((const u8 *)bytes, count, mode, insn, &reason);

	assert_int_equal(result == DECODE_UNSUPPORTED, reason != NULL);
	return result;
}

#define DECODE(mode, bytes, insn) decode(mode, bytes, sizeof(bytes) - 1, insn)

/* Every proper prefix of an instruction is truncated, never another instruction. */
static void truncation_at_every_byte(void **state)
{
	struct insn insn;
	const char *reason;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		for (size_t count = 0; count < rows[i].length; count++)
			assert_int_equal(
				decode_insn(rows[i].bytes, count, rows[i].mode, &insn, &reason),
				DECODE_TRUNCATED);
}

static void bytes_after_do_not_matter(void **state)
{
	struct insn insn, again;
	const char *reason;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		u8 bytes[32];

		memset(bytes, 0xf0, sizeof(bytes));
		memcpy(bytes, rows[i].bytes, rows[i].length);
		assert_int_equal(
			decode_insn(rows[i].bytes, rows[i].length, rows[i].mode, &insn, &reason),
			DECODE_OK);
		assert_int_equal(decode_insn(bytes, sizeof(bytes), rows[i].mode, &again, &reason),
				 DECODE_OK);
		assert_memory_equal(&insn, &again, sizeof(insn));
	}
}

static void rip_relative_in_64_bit_mode_only(void **state)
{
	struct insn insn;

	(void)state;
	assert_int_equal(DECODE(8, "\x8b\x05\x44\x33\x22\x11", &insn), DECODE_OK);
	assert_true(insn.memory.rip_relative);
	assert_int_equal(DECODE(8, "\x8b\x04\x25\x44\x33\x22\x11", &insn), DECODE_OK);
	assert_false(insn.memory.rip_relative);
	assert_int_equal(DECODE(4, "\x8b\x05\x44\x33\x22\x11", &insn), DECODE_OK);
	assert_false(insn.memory.rip_relative);
}

static void fifteen_bytes_at_most(void **state)
{
	struct insn insn;
	char bytes[20];

	(void)state;
	memset(bytes, 0x66, sizeof(bytes));
	assert_int_equal(decode(8, bytes, 14, &insn), DECODE_TRUNCATED);
	assert_int_equal(decode(8, bytes, 15, &insn), DECODE_TOO_LONG);
	assert_int_equal(decode(8, bytes, 20, &insn), DECODE_TOO_LONG);
	memcpy(bytes + 13, "\x8b\x07", 2);
	assert_int_equal(decode(8, bytes, 20, &insn), DECODE_OK);
	assert_int_equal(insn.length, 15);
	memset(bytes, 0x66, sizeof(bytes));
	memcpy(bytes + 14, "\x8b\x07", 2);
	assert_int_equal(decode(8, bytes, 20, &insn), DECODE_TOO_LONG);
}

static void lock_needs_a_memory_destination(void **state)
{
	static const char valid[][5] = {
		"\x01\x07",	"\x09\x07",	    "\x11\x07",		"\x19\x07",
		"\x21\x07",	"\x29\x07",	    "\x31\x07",		"\x00\x07",
		"\x83\x07\x01", "\x80\x37\x01",	    "\x87\x07",		"\x86\x07",
		"\xff\x07",	"\xfe\x0f",	    "\xf7\x17",		"\xf6\x1f",
		"\x0f\xb1\x07", "\x0f\xc1\x07",	    "\x0f\xab\x07",	"\x0f\xb3\x07",
		"\x0f\xbb\x07", "\x0f\xba\x2f\x01", "\x0f\xba\x37\x01", "\x0f\xba\x3f\x01",
	};
	static const char undefined[][5] = {
		"\x39\x07",	"\x03\x07",	"\x01\xc7",	    "\x83\x3f\x01", "\x85\x07",
		"\x8b\x07",	"\x89\x07",	"\x87\xc7",	    "\xff\xc0",	    "\xff\x37",
		"\xc6\x07\x01", "\x0f\xa3\x07", "\x0f\xba\x27\x01", "\x0f\xb6\x07", "\xa4",
		"\xf6\x07\x01", "\xd1\x27",	"\x0f\x94\x07",	    "\xa8\x01",
	};
	struct insn insn;
	char bytes[16] = "\xf0";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(valid); i++) {
		memcpy(bytes + 1, valid[i], 4);
		assert_int_equal(decode(8, bytes, sizeof(bytes), &insn), DECODE_OK);
		assert_true(insn.lock);
	}
	for (size_t i = 0; i < ARRAY_SIZE(undefined); i++) {
		memcpy(bytes + 1, undefined[i], 4);
		assert_int_equal(decode(8, bytes, sizeof(bytes), &insn), DECODE_UNDEFINED);
	}
}

static void memory_only_forms(void **state)
{
	struct insn insn;

	(void)state;
	assert_int_equal(DECODE(8, "\x0f\xc3\xc7", &insn), DECODE_UNDEFINED);	  /* movnti */
	assert_int_equal(DECODE(8, "\x0f\x38\xf0\xc7", &insn), DECODE_UNDEFINED); /* movbe */
}

static void repeat_prefixes(void **state)
{
	struct insn insn;

	(void)state;
	assert_int_equal(DECODE(8, "\xf3\xa4", &insn), DECODE_OK);
	assert_int_equal(insn.rep, REP_EQUAL);
	assert_int_equal(DECODE(8, "\xf2\xae", &insn), DECODE_OK);
	assert_int_equal(insn.rep, REP_NOT_EQUAL);
	assert_int_equal(DECODE(8, "\xf3\xf2\x6c", &insn), DECODE_OK);
	assert_int_equal(insn.rep, REP_NOT_EQUAL);
}

/* Vector moves are refused, with their length so that a log can show them. */
static void simd_is_refused(void **state)
{
	static const struct {
		u8 mode, length;
		const char *bytes;
	} moves[] = {
		{ 8, 4, "\xf3\x0f\x6f\x07" },			  /* movdqu xmm0,[rdi] */
		{ 8, 3, "\x0f\x11\x07" },			  /* movups [rdi],xmm0 */
		{ 8, 9, "\x66\x0f\x7f\x84\x24\x80\x00\x00\x00" }, /* movdqa [rsp+80h],xmm0 */
		{ 8, 5, "\x66\x48\x0f\x6e\x07" },		  /* movq xmm0,[rdi] */
		{ 8, 5, "\x66\x0f\x38\x2a\x07" },		  /* movntdqa xmm0,[rdi] */
		{ 8, 4, "\xc5\xfe\x6f\x07" },			  /* vmovdqu ymm0,[rdi] */
		{ 8, 5, "\xc4\xc1\x7e\x6f\x07" },		  /* vmovdqu ymm0,[r15] */
		{ 8, 5, "\xc4\xe2\x7d\x2a\x07" },		  /* vmovntdqa ymm0,[rdi] */
		{ 8, 6, "\x62\xf1\x7c\x48\x11\x07" },		  /* vmovups [rdi],zmm0 */
		{ 4, 4, "\xc5\xfe\x6f\x07" },			  /* vmovdqu ymm0,[edi] */
		{ 4, 3, "\x0f\x28\x07" },			  /* movaps xmm0,[edi] */
	};
	struct insn insn;
	const char *reason;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		u8 bytes[16] = { 0 };

		memcpy(bytes, moves[i].bytes, moves[i].length);
		reason = NULL;
		assert_int_equal(decode_insn(bytes, sizeof(bytes), moves[i].mode, &insn, &reason),
				 DECODE_UNSUPPORTED);
		assert_non_null(strstr(reason, "vector"));
		assert_int_equal(insn.length, moves[i].length);
	}
}

/* The same lead bytes are other instructions outside 64-bit mode. */
static void les_is_not_vex(void **state)
{
	struct insn insn;
	const char *reason = NULL;
	static const u8 les[] = { 0xc4, 0x07 };

	(void)state;
	assert_int_equal(decode_insn(les, sizeof(les), 4, &insn, &reason), DECODE_UNSUPPORTED);
	assert_null(strstr(reason, "vector"));
	assert_int_equal(decode_insn(les, 1, 4, &insn, &reason), DECODE_TRUNCATED);
}

static void other_opcodes_are_unsupported(void **state)
{
	struct insn insn;

	(void)state;
	assert_int_equal(DECODE(8, "\xe9\x00\x00\x00\x00", &insn), DECODE_UNSUPPORTED); /* jmp */
	assert_int_equal(DECODE(8, "\xff\x17", &insn), DECODE_UNSUPPORTED); /* call [rdi] */
	assert_int_equal(DECODE(8, "\x8f\x0f", &insn), DECODE_UNSUPPORTED); /* 8f /1 */
	assert_int_equal(DECODE(8, "\xf7\x27", &insn), DECODE_UNSUPPORTED); /* mul [rdi] */
	assert_int_equal(DECODE(8, "\xd9\x07", &insn), DECODE_UNSUPPORTED); /* fld [rdi] */
	assert_int_equal(DECODE(4, "\x63\x07", &insn), DECODE_UNSUPPORTED); /* arpl */
	assert_int_equal(DECODE(4, "\x40", &insn), DECODE_UNSUPPORTED);	    /* inc eax */
	assert_int_equal(DECODE(8, "\xf2\x0f\x38\xf0\x07", &insn), DECODE_UNSUPPORTED); /* crc32 */
	assert_int_equal(DECODE(8, "\xf3\x0f\xc3\x07", &insn), DECODE_UNSUPPORTED);
	assert_int_equal(insn.length, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(operands_of_every_form),
		cmocka_unit_test(truncation_at_every_byte),
		cmocka_unit_test(bytes_after_do_not_matter),
		cmocka_unit_test(rip_relative_in_64_bit_mode_only),
		cmocka_unit_test(fifteen_bytes_at_most),
		cmocka_unit_test(lock_needs_a_memory_destination),
		cmocka_unit_test(memory_only_forms),
		cmocka_unit_test(repeat_prefixes),
		cmocka_unit_test(simd_is_refused),
		cmocka_unit_test(les_is_not_vex),
		cmocka_unit_test(other_opcodes_are_unsupported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
