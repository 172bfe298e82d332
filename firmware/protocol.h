/* Constants of the serial protocol (docs/protocol.md); tools/onnxino_tools/protocol.py holds the same, and a test
 * compares them. */
#ifndef ONX_PROTOCOL_H
#define ONX_PROTOCOL_H

#define ONX_PROTOCOL_VERSION 2
#define ONX_MAX_PAYLOAD 1040 /* 1024 bytes of data and the fields before them */
#define ONX_FRAME_HEADER 8   /* version, type, status, flags, sequence (2), payload size (2) */
#define ONX_FRAME_CRC 4      /* CRC-32 over header and payload */
#define ONX_MAX_FRAME (ONX_FRAME_HEADER + ONX_MAX_PAYLOAD + ONX_FRAME_CRC)
/* COBS adds a byte per 254, and a zero stands before and behind the frame. */
#define ONX_MAX_ENCODED (ONX_MAX_FRAME + ONX_MAX_FRAME / 254 + 3)

/* What the host asks; the answer has the same type with this bit set. */
#define ONX_REPLY 0x80

enum onx_command {
    ONX_CMD_HELLO = 0x01,
    ONX_CMD_ECHO = 0x02,
    ONX_CMD_RESET = 0x03,
    ONX_CMD_LAST_FAULT = 0x04,
    ONX_CMD_STATISTICS = 0x05,
    ONX_CMD_MEASURE = 0x06,
    ONX_CMD_LOAD_BEGIN = 0x10,
    ONX_CMD_LOAD_WRITE = 0x11,
    ONX_CMD_LOAD_COMMIT = 0x12,
    ONX_CMD_MODEL_READ = 0x13,
    ONX_CMD_MODEL_CRC = 0x14,
    ONX_CMD_IMAGE_CRC = 0x15,
    ONX_CMD_INPUT_WRITE = 0x20,
    ONX_CMD_INFER = 0x21,
    ONX_CMD_OUTPUT_READ = 0x22,
    ONX_CMD_PROFILE = 0x23,
    ONX_CMD_HASHES = 0x24,
    ONX_CMD_FRAME_BEGIN = 0x30,
    ONX_CMD_FRAME_WRITE = 0x31,
    ONX_CMD_FRAME_CONVERT = 0x32,
};

/* Flags of INFER. */
#define ONX_INFER_HASHES 1 /* keep the CRC-32 of each operator's output */
#define ONX_INFER_CHECK 2  /* the CRC-32 of all input bytes follows: run only with these */

/* What MEASURE reads. */
#define ONX_MEASURE_FLASH 0
#define ONX_MEASURE_RAM 1
#define ONX_MAX_MEASURE 16384 /* words */

/* How a request came, and which bootloader there is (answer to HELLO). */
#define ONX_TRANSPORT_UART 0
#define ONX_TRANSPORT_USB 1
#define ONX_BOOTLOADER_UNKNOWN 0
#define ONX_BOOTLOADER_BL1 1
#define ONX_BOOTLOADER_BL2 2

/* The model status in the answer to HELLO when the model was not opened, because the last starts ended in faults. */
#define ONX_MODEL_NOT_OPENED (-100)

/* Requests that a host may have waiting for their answers at once: INFER and INPUT_WRITEs, nothing else. */
#define ONX_MAX_WINDOW 8

/* Frames that the device sends unasked, with ONX_REPLY set and sequence 0. */
enum onx_event {
    ONX_EVENT_BAD_FRAME = 0x7D, /* what arrived is no frame: the status says why; the host repeats its request */
    ONX_EVENT_FAULT = 0x7E,     /* 8 words: exception number, pc, lr, psr, CFSR, HFSR, MMFAR, BFAR; the device resets */
};

enum onx_reply_status {
    ONX_REPLY_OK = 0,
    ONX_REPLY_BAD_CRC = 1,           /* coding or checksum of a frame is wrong */
    ONX_REPLY_FRAME_TOO_LONG = 2,    /* a frame is longer than ONX_MAX_FRAME */
    ONX_REPLY_BAD_VERSION = 3,       /* the frame's protocol version is not this one */
    ONX_REPLY_UNKNOWN_COMMAND = 4,   /* there is no such command */
    ONX_REPLY_BAD_PAYLOAD = 5,       /* the payload's size is not what the command takes */
    ONX_REPLY_OUT_OF_RANGE = 6,      /* index, offset or size lies outside of what it addresses */
    ONX_REPLY_NO_MODEL = 7,          /* there is no valid model in flash */
    ONX_REPLY_MODEL_TOO_LARGE = 8,   /* the model does not fit into its region of the flash */
    ONX_REPLY_NOT_LOADING = 9,       /* LOAD_WRITE or LOAD_COMMIT without LOAD_BEGIN */
    ONX_REPLY_OUT_OF_ORDER = 10,     /* bytes are missing: payload = next offset that is expected (u32) */
    ONX_REPLY_FLASH_FAILED = 11,     /* the flash does not hold what was written */
    ONX_REPLY_MODEL_REFUSED = 12,    /* payload: onx_status (i32), its text */
    ONX_REPLY_CRC_MISMATCH = 13,     /* the flash does not hold the bytes that the model's CRC-32 promises */
    ONX_REPLY_INPUT_INCOMPLETE = 14, /* an input was not written, or the last inference used it up */
    ONX_REPLY_RUN_FAILED = 15,       /* payload: onx_status (i32), its text */
    ONX_REPLY_NO_RESULT = 16,        /* no inference has run since the input changed, or it kept no hashes */
    ONX_REPLY_BUSY = 17,             /* not while an inference runs: repeat it later */
    ONX_REPLY_INPUT_DIFFERS = 18,    /* the input's CRC-32 is not the one that INFER names: payload = it (u32) */
    ONX_REPLY_FRAME_TOO_LARGE = 19,  /* no room for the frame behind the model's arena: payload = bytes free (u32) */
    ONX_REPLY_FRAME_INCOMPLETE = 20, /* bytes of the frame are missing: payload = next offset (u32) */
    ONX_REPLY_FRAME_REFUSED = 21,    /* the model takes no such frame; payload: onx_status (i32), index, its text */
};

#endif
