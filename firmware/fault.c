/* The record of the last fault. */
#include "fault.h"

#include <string.h>

#include "engine/onnxino.h"

static uint32_t checksum(const onx_fault_record *record)
{
    return onx_crc32(0x4F4E5821u, record, offsetof(onx_fault_record, check));
}

void onx_fault_open(onx_fault_record *record)
{
    if (record->check != checksum(record)) {
        memset(record, 0, sizeof *record);
        record->check = checksum(record);
    }
}

void onx_fault_note(onx_fault_record *record, const uint32_t words[8])
{
    onx_fault_open(record);
    record->count++;
    record->row++;
    record->waiting = 1;
    memcpy(record->words, words, sizeof record->words);
    record->check = checksum(record);
}

void onx_fault_end_row(onx_fault_record *record)
{
    if (record->row != 0) {
        record->row = 0;
        record->check = checksum(record);
    }
}

void onx_fault_clear(onx_fault_record *record)
{
    record->row = 0;
    record->waiting = 0;
    record->check = checksum(record);
}
