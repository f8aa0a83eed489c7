#pragma once
/* system zlib, for data sets that come as .gz */
#include <zlib.h>
