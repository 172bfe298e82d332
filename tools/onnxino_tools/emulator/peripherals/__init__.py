"""The peripherals of the nRF52840, one small file each."""
