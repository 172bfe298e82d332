/* The firmware's version: onnxino.__version__ of the Python package (a test compares them). */
#ifndef ONX_VERSION_H
#define ONX_VERSION_H

#define ONX_FIRMWARE_MAJOR 0
#define ONX_FIRMWARE_MINOR 1
#define ONX_FIRMWARE_PATCH 0

#endif
