/* What is remembered of faults over a restart. */
#ifndef ONX_FAULT_H
#define ONX_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#define ONX_FAULTS_IN_A_ROW 3u /* then the model stays closed */

/* Lies in memory that a restart leaves alone; `check` tells it from what memory holds after power-on. */
typedef struct onx_fault_record {
    uint32_t count;   /* since power-on */
    uint32_t row;     /* since the last HELLO */
    uint32_t waiting; /* 1: words tell of the last fault */
    uint32_t words[8];
    uint32_t check;
} onx_fault_record;

/* At the start: clears a record that is none. */
void onx_fault_open(onx_fault_record *record);
void onx_fault_note(onx_fault_record *record, const uint32_t words[8]);
/* A HELLO was answered: the row ends. */
void onx_fault_end_row(onx_fault_record *record);
void onx_fault_clear(onx_fault_record *record);

#endif
