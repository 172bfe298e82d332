/* Frames on the serial line: COBS between zero bytes, CRC-32 inside. */
#ifndef ONX_FRAME_H
#define ONX_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

static inline uint32_t onx_load_u32(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static inline uint8_t *onx_store_u32(uint8_t *data, uint32_t value)
{
    for (uint32_t i = 0; i < 4; i++) {
        data[i] = (uint8_t)(value >> (8u * i));
    }
    return data + 4;
}

/* Decodes byte by byte. data is aligned so that a LOAD_WRITE's bytes are. */
typedef struct {
    _Alignas(4) uint8_t data[ONX_MAX_FRAME];
    uint32_t size; /* decoded bytes so far */
    uint8_t code;  /* the block's first byte: 0 before the first block of a frame */
    uint8_t left;  /* bytes of the block that are still to come */
    bool overlong;
} onx_decoder;

enum onx_decoded {
    ONX_DECODED_NOTHING, /* in the middle of a frame, or between frames */
    ONX_DECODED_FRAME,   /* data[0 .. size) without the CRC holds header and payload; the next byte starts over */
    ONX_DECODED_BAD,     /* coding, size or checksum is wrong */
    ONX_DECODED_TOO_LONG,
};

enum onx_decoded onx_decode(onx_decoder *decoder, uint8_t byte);
/* Forgets the frame under way. */
void onx_decoder_reset(onx_decoder *decoder);
static inline bool onx_decoder_is_within(const onx_decoder *decoder) { return decoder->code != 0; }

/* Encodes into a buffer and hands it to `send` whenever it is full. */
typedef struct {
    uint8_t buffer[512];
    uint32_t size;  /* encoded bytes in the buffer, the open block's included */
    uint32_t block; /* where the open block's length byte stands */
    uint32_t crc;
    uint8_t transport;
    void (*send)(uint8_t transport, const uint8_t *data, size_t size);
} onx_encoder;

void onx_encode_begin(onx_encoder *encoder, uint8_t transport,
                      void (*send)(uint8_t transport, const uint8_t *data, size_t size));
void onx_encode(onx_encoder *encoder, const uint8_t *data, size_t size);
void onx_encode_end(onx_encoder *encoder); /* the CRC, the closing zero, and out */

#endif
