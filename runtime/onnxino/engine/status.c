/* Texts of the status codes; -DONX_NO_STATUS_TEXT leaves them out. */
#include "onnxino.h"

const char *onx_status_text(onx_status status)
{
#ifdef ONX_NO_STATUS_TEXT
    (void)status;
    return "";
#else
    switch (status) {
    case ONX_OK: return "done";
    case ONX_ERROR_ARGUMENT: return "a pointer is NULL or an index does not exist";
    case ONX_ERROR_ADDRESS: return "the model or the arena is not aligned to 16 bytes";
    case ONX_ERROR_TRUNCATED: return "the model is truncated";
    case ONX_ERROR_MAGIC: return "not an Onnxino model";
    case ONX_ERROR_VERSION: return "the model has a newer format than this runtime reads";
    case ONX_ERROR_HEADER: return "the model's header is damaged";
    case ONX_ERROR_CRC: return "the model is damaged: its CRC-32 differs";
    case ONX_ERROR_STRUCTURE: return "the model is damaged: its flatbuffer is malformed";
    case ONX_ERROR_TENSOR: return "the model has an impossible tensor";
    case ONX_ERROR_PORT: return "the model has an impossible graph input or output";
    case ONX_ERROR_OPERATOR: return "an operator's operands and attributes do not fit together";
    case ONX_ERROR_UNSUPPORTED: return "this build has no kernel for an operator";
    case ONX_ERROR_ORDER: return "an operator reads a tensor that is not written, or writes one twice";
    case ONX_ERROR_PLAN: return "the memory plan overlaps or leaves the arena";
    case ONX_ERROR_ARENA_SIZE: return "the arena has the wrong size";
    }
    return "unknown status";
#endif
}
