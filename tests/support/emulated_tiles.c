/* The tile instructions of AMX on an x86-64 CPU without them: a handler of SIGILL decodes and executes them.

   cc -O3 -mavx2 -mfma -ffp-contract=off -shared -fPIC emulated_tiles.c -o emulated_tiles.so; then call
   install() once in a process.  Every thread has tiles of its own.  Anything else that is no instruction, and
   whatever the manual says faults, ends the process with a message. */

#define _GNU_SOURCE
#include <immintrin.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { ROWS = 16, BYTES = 64, TILES = 8 };
enum { NONE, OPERAND_66, F3, F2 }; /* prefixes, as VEX numbers them */

typedef struct {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} configuration;

static __thread configuration config;
static __thread uint8_t tiles[TILES][ROWS][BYTES];
static atomic_long executed[7]; /* ldtilecfg, tilerelease, tilezero, tileloadd, tilestored, tdpbf16ps, live */

static void refuse(const char *why, const uint8_t *code) {
    char text[200];
    int size = snprintf(text, sizeof text, "emulated tiles: %s:", why);
    for (int i = 0; i < 10; i++) size += snprintf(text + size, sizeof text - size, " %02x", code[i]);
    text[size++] = '\n';
    if (write(2, text, size)) _exit(70);
    _exit(70);
}

/* c += a b, for terms that are pairs of bfloat16; subnormal operands and results are zeros, by MXCSR. */
static __attribute__((noinline)) void products(int c, int a, int b) {
    for (int m = 0; m < config.rows[c]; m++) {
        float even[ROWS] = {0}, odd[ROWS] = {0}, sum[ROWS];
        for (int k = 0; k < config.bytes[a] / 4; k++) {
            uint32_t pair, low, high, words[ROWS];
            memcpy(&pair, &tiles[a][m][4 * k], 4);
            memcpy(words, tiles[b][k], BYTES);
            low = pair << 16, high = pair & 0xffff0000;
            float x, y;
            memcpy(&x, &low, 4), memcpy(&y, &high, 4);
            for (int n = 0; n < ROWS; n++) {
                uint32_t first = words[n] << 16, second = words[n] & 0xffff0000;
                float p, q;
                memcpy(&p, &first, 4), memcpy(&q, &second, 4);
                even[n] = __builtin_fmaf(x, p, even[n]);
                odd[n] = __builtin_fmaf(y, q, odd[n]);
            }
        }
        memcpy(sum, tiles[c][m], BYTES);
        for (int n = 0; n < config.bytes[c] / 4; n++) sum[n] += even[n] + odd[n];
        memcpy(tiles[c][m], sum, BYTES);
    }
}

static void multiply(int c, int a, int b, const uint8_t *code) {
    if (c == a || c == b || a == b) refuse("tdpbf16ps of one tile twice", code);
    if (config.rows[c] != config.rows[a] || config.bytes[c] != config.bytes[b] ||
        config.bytes[a] != 4 * config.rows[b])
        refuse("tdpbf16ps of tiles that do not match", code);
    unsigned before = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8040); /* exceptions masked, flush-to-zero, denormals-are-zero */
    products(c, a, b);
    _mm_setcsr(before);
    executed[5]++;
}

/* In the order in which instructions number registers. */
static const int REGISTERS[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

typedef struct {
    uint64_t address;
    int64_t stride; /* an index, scaled, which tile instructions do not add to the address */
    const uint8_t *end;
} operand;

static operand memory(const uint8_t *modrm, int x, int b, const greg_t *registers, const uint8_t *code) {
    int mod = *modrm >> 6, base = *modrm & 7;
    const uint8_t *next = modrm + 1;
    operand found = {0, 0, NULL};
    int is_relative = 0;
    if (base == 4) {
        int sib = *next++, index = (sib >> 3 & 7) | x << 3;
        base = sib & 7;
        if (index != 4) found.stride = (int64_t)registers[REGISTERS[index]] << (sib >> 6);
        if (base == 5 && mod == 0) base = -1;
    } else if (base == 5 && mod == 0) {
        base = -1, is_relative = 1;
    }
    if (base >= 0) found.address = registers[REGISTERS[base | b << 3]];
    if (mod == 1) {
        found.address += (int8_t)*next++;
    } else if (mod == 2 || base < 0) {
        int32_t displacement;
        memcpy(&displacement, next, 4);
        found.address += displacement, next += 4;
    }
    if (is_relative) found.address += (uint64_t)next;
    if (mod == 3) refuse("a register where memory belongs", code);
    found.end = next;
    return found;
}

static void configure(const uint8_t *source, const uint8_t *code) {
    memcpy(&config, source, sizeof config);
    if (config.palette != 1 || config.start) refuse("a palette that there is not", code);
    for (int tile = 0; tile < 16; tile++)
        if (config.rows[tile] > (tile < TILES ? ROWS : 0) || config.bytes[tile] > (tile < TILES ? BYTES : 0))
            refuse("a configuration of too large tiles", code);
    memset(tiles, 0, sizeof tiles);
    executed[0]++;
    executed[6]++;
}

static void move(int tile, operand place, int is_load, const uint8_t *code) {
    if (!config.palette) refuse("no configuration", code);
    if (is_load) memset(tiles[tile], 0, sizeof tiles[tile]);
    for (int row = 0; row < config.rows[tile]; row++) {
        void *there = (void *)(place.address + row * place.stride);
        if (is_load) memcpy(tiles[tile][row], there, config.bytes[tile]);
        else memcpy(there, tiles[tile][row], config.bytes[tile]);
    }
    executed[is_load ? 3 : 4]++;
}

static void execute(int signal, siginfo_t *information, void *context) {
    (void)signal, (void)information;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *code = (const uint8_t *)registers[REG_RIP], *modrm = code + 4;
    if (code[0] != 0xc4 || (code[1] & 31) != 2 || code[2] & 0x84) refuse("no instruction", code);
    int r = !(code[1] & 0x80), x = !(code[1] & 0x40), b = !(code[1] & 0x20);
    int third = ~(code[2] >> 3) & 15, prefix = code[2] & 3, opcode = code[3];
    int is_register = *modrm >> 6 == 3, first = *modrm >> 3 & 7, second = *modrm & 7;
    const uint8_t *end = modrm + 1;
    if (r) refuse("a tile above 7", code);
    if (opcode == 0x49 && prefix == NONE && !is_register && first == 0 && !third) {
        operand place = memory(modrm, x, b, registers, code);
        place.address += place.stride;
        configure((const uint8_t *)place.address, code);
        end = place.end;
    } else if (opcode == 0x49 && prefix == NONE && *modrm == 0xc0 && !third) {
        executed[1]++;
        executed[6] -= config.palette;
        memset(&config, 0, sizeof config);
    } else if (opcode == 0x49 && prefix == F2 && is_register && second == 0 && !third) {
        if (!config.palette) refuse("no configuration", code);
        memset(tiles[first], 0, sizeof tiles[first]);
        executed[2]++;
    } else if (opcode == 0x4b && (prefix == F2 || prefix == F3) && !is_register && second == 4 && !third) {
        operand place = memory(modrm, x, b, registers, code);
        move(first, place, prefix == F2, code);
        end = place.end;
    } else if (opcode == 0x5c && prefix == F3 && is_register && third < TILES && !b) {
        if (!config.palette) refuse("no configuration", code);
        multiply(first, second, third, code);
    } else {
        refuse("no instruction", code);
    }
    registers[REG_RIP] = (greg_t)end;
}

/* Emulates from here on; 0 where that is possible. */
int install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = execute;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (!__builtin_cpu_supports("fma") || !__builtin_cpu_supports("avx2")) return 1;
    return sigaction(SIGILL, &action, NULL);
}

/* How often each instruction ran, and how many threads hold a configuration. */
void counted(long *counts) {
    for (int i = 0; i < 7; i++) counts[i] = executed[i];
}
