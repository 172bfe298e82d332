/* What the parts of this board's code ask of each other at start-up. */
#ifndef ONX_NANO33BLE_H
#define ONX_NANO33BLE_H

void onx_reasons_start(void);
void onx_timers_start(void);
void onx_light_start(void);
void onx_uart_start(void);

#endif
