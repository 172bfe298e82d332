/* What the portable firmware needs of a board. A board is a folder in boards/ that defines board_config.h and these
 * functions. */
#ifndef ONX_BOARD_H
#define ONX_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board_config.h" /* ONX_BOARD_ID, _CLOCK_HZ, _ARENA_SIZE, _IMAGE_..., _MODEL_..., _PAGE_SIZE */

/* What the board shows. A board may show states of its own besides (USB attached, asleep). */
enum onx_light {
    ONX_LIGHT_READY,   /* a model is open */
    ONX_LIGHT_EMPTY,   /* no model that runs */
    ONX_LIGHT_RUNNING, /* an inference */
    ONX_LIGHT_LOADING, /* a model is being written */
    ONX_LIGHT_FAULT,   /* the program broke off; the board restarts soon */
    ONX_LIGHT_SAFE,    /* the last starts ended in faults: the model was left closed */
};

/* Serial lines, by ONX_TRANSPORT_... (protocol.h). Reading never blocks and returns the number of bytes that arrived;
   writing returns when all is sent, or has no reader. Both keep what else the line needs alive, so one of them is to be
   called often. Waiting sleeps until bytes arrive. Resynchronising throws away what is on the way on the UART after it
   was disturbed. */
size_t onx_board_read(uint8_t transport, uint8_t *data, size_t capacity);
void onx_board_write(uint8_t transport, const uint8_t *data, size_t size);
void onx_board_wait(void);
void onx_board_resynchronise(void);

/* What happened on the lines since the start. */
typedef struct {
    uint32_t uart_errors, usb_resets, usb_suspends, usb_dropped;
} onx_line_counters;
onx_line_counters onx_board_line_counters(void);

/* Free-running clocks, both wrap: CPU cycles, microseconds. */
uint32_t onx_board_cycles(void);
uint32_t onx_board_microseconds(void);

/* The model region: read in place. Erasing one page and writing whole words by byte offset in the region; false when
   the flash does not hold afterwards what it should. A word is written once between two erasures. */
const uint8_t *onx_board_model(void);
bool onx_board_erase(uint32_t offset);
bool onx_board_program(uint32_t offset, const uint8_t *data, uint32_t size);

/* The firmware's own image in flash, and the region that it lies in. */
const uint8_t *onx_board_image(void);
uint32_t onx_board_image_size(void);

/* Why the board started (as the chip says it), and which bootloader lies in flash (ONX_BOOTLOADER_...). */
uint32_t onx_board_reset_reasons(void);
uint8_t onx_board_bootloader(void);

/* Reads `words` words one after the other, of the model region or the arena (ONX_MEASURE_...), and counts. */
typedef struct {
    uint32_t cycles, cache_hits, cache_misses;
} onx_measurement;
onx_measurement onx_board_measure(uint32_t what, uint32_t words);

/* Memory for the record of the last fault: it keeps its bytes over a restart, but not over a loss of power. */
struct onx_fault_record *onx_board_fault_record(void);

void *onx_board_arena(void);
uint32_t onx_board_stack_size(void);
uint32_t onx_board_stack_free(void); /* bytes of the stack that were never used */
void onx_board_device_id(uint8_t id[8]);
void onx_board_light(enum onx_light light);
_Noreturn void onx_board_reset(void); /* after what was written last is sent */

/* What the board calls: the program, and the report of a fault (8 words, see protocol.h), after which the board resets.
 */
void onx_main(void);
void onx_fault_report(const uint32_t words[8]);

#endif
