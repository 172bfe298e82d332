/* Arduino Nano 33 BLE Sense: the same numbers as NANO33BLE in runtime/onnxino/boards.py (a test compares them). */
#ifndef ONX_BOARD_CONFIG_H
#define ONX_BOARD_CONFIG_H

#define ONX_BOARD_ID 1u
#define ONX_BOARD_CLOCK_HZ 64000000u
#define ONX_BOARD_PAGE_SIZE 4096u
#define ONX_BOARD_IMAGE_ADDRESS 0x10000u
#define ONX_BOARD_IMAGE_SIZE 0x30000u
#define ONX_BOARD_MODEL_ADDRESS 0x40000u
#define ONX_BOARD_MODEL_SIZE 0xA0000u
#define ONX_BOARD_ARENA_SIZE 0x38000u

#endif
