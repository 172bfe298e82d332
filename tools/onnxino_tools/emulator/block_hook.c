/* Counts executed blocks inside of Unicorn: called at the start of each translated block, adds the block's instructions
 * and cycles, and stops the engine at a block boundary (never elsewhere: a stop during a register access would repeat
 * the access). The layout of the structs is mirrored in counting.py. */
#include <stdint.h>

enum { FLAG_CONDITIONAL = 1, FLAG_MAY_UNMASK = 2 };

typedef struct {
    uint16_t size; /* bytes; 0 = not decoded yet */
    uint16_t instructions;
    uint16_t cycles;
    uint16_t flags;
} block;

typedef struct {
    uint32_t base, size; /* bytes of address space that the table covers */
    block *blocks;       /* one per halfword */
} region;

typedef struct {
    uint64_t instructions, cycles;
    uint64_t deadline;    /* stop at the first block that starts at or after this many cycles */
    uint64_t limit;       /* the same in instructions */
    uint32_t stop;        /* 1, set by Python: stop before the next block; 2: stopped there */
    uint32_t masked;      /* an interrupt waits for PRIMASK or BASEPRI: stop after blocks that may unmask it */
    uint32_t address;     /* start of the block that runs now */
    uint32_t next;        /* address after it */
    uint32_t taken;       /* cycles to add if the next block starts elsewhere */
    uint32_t flags;       /* of the block that runs now */
    uint64_t flash_reads; /* 32-bit words read as data from the watched flash region */
    uint32_t wait_states;
    uint32_t watched_size;
    const uint8_t *watched;
    void (*decode)(uint32_t address, uint32_t size, void *entry);
    int (*emu_stop)(void *uc);
    region regions[3];
} state;

static block *find(state *s, uint32_t address)
{
    for (int i = 0; i < 3; i++) {
        uint32_t offset = address - s->regions[i].base;
        if (offset < s->regions[i].size) {
            return &s->regions[i].blocks[offset >> 1];
        }
    }
    return 0;
}

#ifdef _WIN32
__declspec(dllexport)
#endif
void onnxino_block_hook(void *uc, uint64_t start, uint32_t size, void *user)
{
    state *s = (state *)user;
    uint32_t address = (uint32_t)start;
    if (s->stop != 0 || s->cycles >= s->deadline || s->instructions >= s->limit
        || (s->masked != 0 && (s->flags & FLAG_MAY_UNMASK) != 0)) {
        s->stop = 2;
        s->emu_stop(uc);
        return;
    }
    block other = { 0, 0, 0, 0 };
    block *entry = find(s, address);
    if (entry == 0 || entry->size != size) {
        entry = entry == 0 ? &other : entry;
        s->decode(address, size, entry);
        if (s->stop != 0) {
            s->emu_stop(uc);
            return;
        }
    }
    s->instructions += entry->instructions;
    s->cycles += entry->cycles + (address != s->next ? s->taken : 0U);
    s->flags = entry->flags;
    s->taken = (s->flags & FLAG_CONDITIONAL) != 0 ? 2 : 0;
    s->address = address;
    s->next = address + size;
}

/* Reads of a flash region that is mapped as registers, so that each data read is seen and its wait states are added. */
#ifdef _WIN32
__declspec(dllexport)
#endif
uint64_t onnxino_flash_read(void *uc, uint64_t offset, uint32_t size, void *user)
{
    state *s = (state *)user;
    uint64_t value = 0;
    (void)uc;
    for (uint32_t i = 0; i < size && offset + i < s->watched_size; i++) {
        value |= (uint64_t)s->watched[offset + i] << (8 * i);
    }
    uint32_t words = (uint32_t)(((offset + size + 3) >> 2) - (offset >> 2));
    s->flash_reads += words;
    s->cycles += (uint64_t)words * s->wait_states;
    return value;
}
