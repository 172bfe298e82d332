"""The USB cable and what is at its ends: the device (the chip's USBD, or one in Python) and a strict host."""
