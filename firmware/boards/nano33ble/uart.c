/* UARTE0 at 1 Mbaud on D0 (TX) and D1 (RX), polled, with EasyDMA into a ring of two halves.
 *
 * RXD.AMOUNT is only valid after a transfer ended and there is no idle timeout, so the bytes are counted by hardware:
 * each RXDRDY event reaches TIMER1 (a counter) through the PPI. ENDRX starts the next transfer by a shortcut, into the
 * half that RXD.PTR names by then; RXSTARTED says that PTR was taken over and the other half may be named. So nothing
 * is lost as long as this is called once per half (11 ms at 1 Mbaud), or no more than one half arrives while it is not:
 * a half holds the longest frame, and the host waits for each reply before it sends again. When the counter and the DMA
 * could have lost each other (line errors, an overrun) the receiver starts anew; the protocol's checksum and retries do
 * the rest.
 */
#include "board.h"
#include "nano33ble.h"
#include "nrf52840.h"
#include "protocol.h"

#define COUNTER_TIMER 1u
#define PPI_CHANNEL 0u
#define HALF 1088u
#define RING (2u * HALF)
_Static_assert(HALF >= ONX_MAX_ENCODED, "a half holds the longest frame");

#define PIN_TX 3u /* port 1 */
#define PIN_RX 10u

static struct {
    uint8_t ring[RING];
    uint32_t consumed; /* bytes taken out of the ring since the receiver started */
    uint32_t started;  /* halves that the DMA has begun */
    uint32_t errors;
} uart;

static void name_next_half(void)
{
    UARTE0_EVENTS_RXSTARTED = 0;
    uart.started++;
    UARTE0_RXD_PTR = (uint32_t)(uintptr_t)&uart.ring[(uart.started % 2u) * HALF];
}

static void receiver_start(void)
{
    TIMER_TASKS_CLEAR(COUNTER_TIMER) = 1;
    uart.consumed = 0;
    uart.started = 0;
    UARTE0_EVENTS_ENDRX = 0;
    UARTE0_EVENTS_RXSTARTED = 0;
    UARTE0_EVENTS_ERROR = 0;
    UARTE0_ERRORSRC = UARTE0_ERRORSRC;
    UARTE0_RXD_PTR = (uint32_t)(uintptr_t)uart.ring;
    UARTE0_RXD_MAXCNT = HALF;
    UARTE0_SHORTS = UARTE_SHORT_ENDRX_STARTRX;
    UARTE0_TASKS_STARTRX = 1;
    while (UARTE0_EVENTS_RXSTARTED == 0) {
    }
    name_next_half();
}

/* The bound only keeps a receiver that had already stopped from hanging us. */
static void wait_for(const volatile uint32_t *event)
{
    const uint32_t start = onx_board_microseconds();
    while (*event == 0 && onx_board_microseconds() - start < 200u) {
    }
}

void onx_uart_restart(void)
{
    UARTE0_SHORTS = 0;
    UARTE0_EVENTS_RXTO = 0;
    UARTE0_TASKS_STOPRX = 1;
    wait_for(&UARTE0_EVENTS_RXTO); /* within five bytes' time */
    /* What came after STOPRX waits in the FIFO and was counted: into the ring with it, where nobody reads it. */
    UARTE0_EVENTS_ENDRX = 0;
    UARTE0_RXD_PTR = (uint32_t)(uintptr_t)uart.ring;
    UARTE0_TASKS_FLUSHRX = 1;
    wait_for(&UARTE0_EVENTS_ENDRX);
    receiver_start();
}

void onx_uart_start(void)
{
    GPIO_OUTSET(1) = 1u << PIN_TX;
    GPIO_DIRSET(1) = 1u << PIN_TX;
    GPIO_DIRCLR(1) = 1u << PIN_RX;
    GPIO_PIN_CNF(1, PIN_RX) = 3u << 2; /* input with pull-up: an open line is silent */
    UARTE0_PSEL_TXD = (1u << 5) | PIN_TX;
    UARTE0_PSEL_RXD = (1u << 5) | PIN_RX;
    UARTE0_PSEL_RTS = UARTE_DISCONNECTED;
    UARTE0_PSEL_CTS = UARTE_DISCONNECTED;
    UARTE0_BAUDRATE = UARTE_BAUD_1M;
    UARTE0_CONFIG = 0; /* no parity, no flow control */
    UARTE0_ENABLE = 8;

    TIMER_TASKS_STOP(COUNTER_TIMER) = 1;
    TIMER_SHORTS(COUNTER_TIMER) = 0;
    TIMER_INTENCLR(COUNTER_TIMER) = 0xFFFFFFFFu;
    TIMER_MODE(COUNTER_TIMER) = 1;
    TIMER_BITMODE(COUNTER_TIMER) = 3;
    TIMER_TASKS_CLEAR(COUNTER_TIMER) = 1;
    TIMER_TASKS_START(COUNTER_TIMER) = 1;
    PPI_CH_EEP(PPI_CHANNEL) = UARTE0_EVENTS_RXDRDY_ADDRESS;
    PPI_CH_TEP(PPI_CHANNEL) = TIMER_TASKS_COUNT_ADDRESS(COUNTER_TIMER);
    PPI_CHENSET = 1u << PPI_CHANNEL;
    receiver_start();
}

static uint32_t received(void)
{
    TIMER_TASKS_CAPTURE0(COUNTER_TIMER) = 1;
    return TIMER_CC0(COUNTER_TIMER);
}

/* True while the DMA fills the half that the byte counter says. */
static bool in_step(uint32_t count)
{
    const uint32_t start = onx_board_microseconds();
    do {
        if (UARTE0_EVENTS_RXSTARTED != 0) {
            name_next_half();
        }
        if (uart.started > count / HALF) {
            return true;
        }
    } while (onx_board_microseconds() - start < 5u); /* the shortcut takes less than a microsecond */
    return false;
}

size_t onx_uart_read(uint8_t *data, size_t capacity)
{
    const uint32_t count = received();
    if (UARTE0_EVENTS_ERROR != 0 || !in_step(count) || count - uart.consumed > RING) {
        uart.errors++;
        onx_uart_restart();
        return 0;
    }
    uint32_t size = count - uart.consumed;
    if (size > capacity) {
        size = (uint32_t)capacity;
    }
    const volatile uint8_t *ring = uart.ring; /* written by DMA */
    for (uint32_t i = 0; i < size; i++) {
        data[i] = ring[(uart.consumed + i) % RING];
    }
    uart.consumed += size;
    return size;
}

bool onx_uart_wakes(void)
{
    UARTE0_EVENTS_RXDRDY = 0;
    UARTE0_INTENSET = UARTE_INT_RXDRDY | UARTE_INT_ERROR;
    return received() == uart.consumed && UARTE0_EVENTS_ERROR == 0;
}

void onx_uart_is_awake(void) { UARTE0_INTENCLR = UARTE_INT_RXDRDY | UARTE_INT_ERROR; }

uint32_t onx_uart_errors(void) { return uart.errors; }

void onx_uart_write(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return;
    }
    UARTE0_TXD_PTR = (uint32_t)(uintptr_t)data;
    UARTE0_TXD_MAXCNT = (uint32_t)size;
    UARTE0_EVENTS_ENDTX = 0;
    onx_data_barrier();
    UARTE0_TASKS_STARTTX = 1;
    while (UARTE0_EVENTS_ENDTX == 0) {
    }
}
