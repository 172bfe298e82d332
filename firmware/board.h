/* What the portable firmware needs of a board. A board is a folder in boards/ that defines board_config.h and these
 * functions. */
#ifndef ONX_BOARD_H
#define ONX_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board_config.h" /* ONX_BOARD_ID, _CLOCK_HZ, _ARENA_SIZE, _IMAGE_..., _MODEL_..., _PAGE_SIZE */

enum onx_light { ONX_LIGHT_OFF, ONX_LIGHT_RUNNING, ONX_LIGHT_LOADING, ONX_LIGHT_FAULT };

/* Serial line. Reading never blocks and returns the number of bytes that arrived; writing returns when all is sent
   (data in RAM). Waiting sleeps until bytes arrive. Resynchronising throws away what is on the way after the line was
   disturbed. */
size_t onx_board_read(uint8_t *data, size_t capacity);
void onx_board_write(const uint8_t *data, size_t size);
void onx_board_wait(void);
void onx_board_resynchronise(void);

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

void *onx_board_arena(void);
uint32_t onx_board_stack_size(void);
uint32_t onx_board_stack_free(void); /* bytes of the stack that were never used */
void onx_board_device_id(uint8_t id[8]);
void onx_board_light(enum onx_light light);
_Noreturn void onx_board_reset(void);

/* What the board calls: the program, and the report of a fault (8 words, see protocol.h), after which the board resets.
 */
void onx_main(void);
void onx_fault_report(const uint32_t words[8]);

#endif
