/* Structural verification of the flatbuffer: after it, model_reader.h's accessors read inside the file only. */
#ifndef ONX_STRUCTURE_H
#define ONX_STRUCTURE_H

#include <stdint.h>

/* Returns the root table, or NULL where anything of the schema is violated: offsets, vtables, alignment, vectors,
 * strings, required fields, enum values, union tags. `data` is aligned to 16 bytes. */
const uint8_t *onx_structure_verify(const uint8_t *data, uint32_t size);

#endif
