/* A board made of a process: the serial line is stdin and stdout, the flash a file, so that the portable firmware runs
 * on the host under sanitizers; SIGUSR1 is a fault. Usage: host_board FLASH_FILE [CUT]; CUT n ends the process in the
 * middle of flash operation n, as a loss of power does. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "board.h"
#include "fault.h"
#include "protocol.h"

static uint8_t *flash;
static onx_fault_record *record;
static long cut = -1;
static _Alignas(16) uint8_t arena[ONX_BOARD_ARENA_SIZE];

static volatile sig_atomic_t broken;

static void on_signal(int signal) { broken = signal; }

size_t onx_board_read(uint8_t transport, uint8_t *data, size_t capacity)
{
    if (broken != 0) {
        const uint32_t words[8] = { 3, 0x10400, 0x10300, 0x61000000, 0x00020000, 0x40000000, 1, 2 };
        onx_fault_report(words);
        onx_board_reset();
    }
    if (transport != ONX_TRANSPORT_UART) {
        return 0;
    }
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    if (poll(&in, 1, 0) <= 0) {
        return 0;
    }
    const ssize_t count = read(STDIN_FILENO, data, capacity);
    if (count <= 0) {
        exit(0); /* the host closed the line */
    }
    return (size_t)count;
}

void onx_board_write(uint8_t transport, const uint8_t *data, size_t size)
{
    if (transport != ONX_TRANSPORT_UART) {
        abort(); /* it came from nowhere else */
    }
    while (size > 0) {
        const ssize_t count = write(STDOUT_FILENO, data, size);
        if (count <= 0) {
            exit(0);
        }
        data += count;
        size -= (size_t)count;
    }
}

void onx_board_wait(void)
{
    struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
    poll(&in, 1, 100);
}

onx_line_counters onx_board_line_counters(void)
{
    const onx_line_counters counters = { 1, 2, 3, 4 };
    return counters;
}

onx_measurement onx_board_measure(uint32_t what, uint32_t words)
{
    const onx_measurement found = { what + 1, words, 7 };
    return found;
}

/* Survives execv in a file that has no name, but not the process: as RAM does. */
onx_fault_record *onx_board_fault_record(void) { return record; }

static void open_record(void)
{
    const char *inherited = getenv("HOST_BOARD_RAM");
    const int memory = inherited != NULL ? (int)strtol(inherited, NULL, 10) : memfd_create("ram", 0);
    char number[16];
    snprintf(number, sizeof number, "%d", memory);
    setenv("HOST_BOARD_RAM", number, 1);
    if (memory < 0 || ftruncate(memory, 4096) != 0) {
        abort();
    }
    record = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
}

void onx_board_resynchronise(void) {}

uint32_t onx_board_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
}

uint32_t onx_board_cycles(void) { return onx_board_microseconds() * (ONX_BOARD_CLOCK_HZ / 1000000u); }

const uint8_t *onx_board_model(void) { return flash; }

/* True when the power goes in this operation: the caller does half of it. */
static bool power_fails(void) { return cut > 0 && --cut == 0; }

bool onx_board_erase(uint32_t offset)
{
    if (offset % ONX_BOARD_PAGE_SIZE != 0 || offset >= ONX_BOARD_MODEL_SIZE) {
        abort(); /* the firmware must never ask for it */
    }
    const bool fails = power_fails();
    memset(flash + offset, 0xFF, fails ? ONX_BOARD_PAGE_SIZE / 2 : ONX_BOARD_PAGE_SIZE);
    if (fails) {
        _exit(9);
    }
    return true;
}

bool onx_board_program(uint32_t offset, const uint8_t *data, uint32_t size)
{
    if (offset % 4 != 0 || size % 4 != 0 || offset > ONX_BOARD_MODEL_SIZE || size > ONX_BOARD_MODEL_SIZE - offset) {
        abort();
    }
    for (uint32_t i = 0; i < size; i++) {
        if (i % 4 == 0 && power_fails()) {
            _exit(9);
        }
        flash[offset + i] &= data[i];
    }
    return memcmp(flash + offset, data, size) == 0;
}

static const uint8_t image[ONX_BOARD_IMAGE_SIZE] = "the firmware's image";

const uint8_t *onx_board_image(void) { return image; }

uint32_t onx_board_image_size(void) { return 1000; }

uint32_t onx_board_reset_reasons(void) { return 4; }

uint8_t onx_board_bootloader(void) { return 2; }

void *onx_board_arena(void) { return arena; }

uint32_t onx_board_stack_size(void) { return 8192; }

uint32_t onx_board_stack_free(void) { return 4096; }

void onx_board_device_id(uint8_t id[8])
{
    for (uint8_t i = 0; i < 8; i++) {
        id[i] = i;
    }
}

void onx_board_light(enum onx_light light) { (void)light; }

static char **arguments;

_Noreturn void onx_board_reset(void)
{
    execv("/proc/self/exe", arguments);
    abort();
}

int main(int argc, char **argv)
{
    arguments = argv;
    if (argc < 2) {
        return 2;
    }
    if (argc > 2) {
        cut = strtol(argv[2], NULL, 10);
    }
    const int file = open(argv[1], O_RDWR);
    flash = file < 0 ? MAP_FAILED : mmap(NULL, ONX_BOARD_MODEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (flash == MAP_FAILED) {
        perror(argv[1]);
        return 2;
    }
    open_record();
    signal(SIGUSR1, on_signal); /* a fault */
    onx_main();
}
