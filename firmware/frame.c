/* COBS and CRC-32 of the serial frames, with as little memory as a device has. */
#include "frame.h"

#include "engine/onnxino.h"

void onx_decoder_reset(onx_decoder *decoder)
{
    decoder->size = 0;
    decoder->code = 0;
    decoder->left = 0;
    decoder->overlong = false;
}

static void decoder_put(onx_decoder *decoder, uint8_t byte)
{
    if (decoder->size < ONX_MAX_FRAME) {
        decoder->data[decoder->size++] = byte;
    } else {
        decoder->overlong = true;
    }
}

static bool frame_is_whole(const onx_decoder *decoder)
{
    if (decoder->left != 0 || decoder->size < ONX_FRAME_HEADER + ONX_FRAME_CRC) {
        return false;
    }
    const uint32_t covered = decoder->size - ONX_FRAME_CRC;
    const uint32_t payload = (uint32_t)decoder->data[6] | (uint32_t)decoder->data[7] << 8;
    return payload == covered - ONX_FRAME_HEADER
           && onx_crc32(0, decoder->data, covered) == onx_load_u32(decoder->data + covered);
}

enum onx_decoded onx_decode(onx_decoder *decoder, uint8_t byte)
{
    if (byte == 0) {
        enum onx_decoded result = ONX_DECODED_NOTHING;
        if (decoder->overlong) {
            result = ONX_DECODED_TOO_LONG;
        } else if (decoder->code != 0) {
            result = frame_is_whole(decoder) ? ONX_DECODED_FRAME : ONX_DECODED_BAD;
        }
        const uint32_t size = decoder->size;
        onx_decoder_reset(decoder);
        decoder->size = result == ONX_DECODED_FRAME ? size - ONX_FRAME_CRC : 0;
        return result;
    }
    if (decoder->code == 0) {
        decoder->size = 0; /* first byte of a frame: the last frame's size was left for the caller */
    }
    if (decoder->left > 0) {
        decoder_put(decoder, byte);
        decoder->left--;
        return ONX_DECODED_NOTHING;
    }
    if (decoder->code != 0 && decoder->code != 0xFF) {
        decoder_put(decoder, 0);
    }
    decoder->code = byte;
    decoder->left = (uint8_t)(byte - 1u);
    return ONX_DECODED_NOTHING;
}

void onx_encode_begin(onx_encoder *encoder, uint8_t transport,
                      void (*send)(uint8_t transport, const uint8_t *data, size_t size))
{
    encoder->transport = transport;
    encoder->send = send;
    encoder->buffer[0] = 0; /* ends whatever noise came before */
    encoder->block = 1;
    encoder->size = 2;
    encoder->crc = 0;
}

static void close_block(onx_encoder *encoder)
{
    encoder->buffer[encoder->block] = (uint8_t)(encoder->size - encoder->block);
    if (encoder->size + 256u > sizeof encoder->buffer) {
        encoder->send(encoder->transport, encoder->buffer, encoder->size);
        encoder->size = 0;
    }
    encoder->block = encoder->size++;
}

static void encode_bytes(onx_encoder *encoder, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (data[i] == 0) {
            close_block(encoder);
            continue;
        }
        encoder->buffer[encoder->size++] = data[i];
        if (encoder->size - encoder->block == 255u) {
            close_block(encoder);
        }
    }
}

void onx_encode(onx_encoder *encoder, const uint8_t *data, size_t size)
{
    encoder->crc = onx_crc32(encoder->crc, data, size);
    encode_bytes(encoder, data, size);
}

void onx_encode_end(onx_encoder *encoder)
{
    uint8_t crc[ONX_FRAME_CRC];
    onx_store_u32(crc, encoder->crc);
    encode_bytes(encoder, crc, sizeof crc);
    encoder->buffer[encoder->block] = (uint8_t)(encoder->size - encoder->block);
    encoder->buffer[encoder->size++] = 0;
    encoder->send(encoder->transport, encoder->buffer, encoder->size);
}
