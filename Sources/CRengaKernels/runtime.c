/* runtime.c: placeholder until the runtime lands. */
#include "renga_kernels.h"
