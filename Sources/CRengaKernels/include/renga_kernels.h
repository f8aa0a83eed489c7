/* renga_kernels.h: all kernels. Private to Renga: hosts see include/renga.h. */
#ifndef RENGA_KERNELS_H
#define RENGA_KERNELS_H
#include "rk_checksum.h"
#include "rk_convolution.h"
#include "rk_image.h"
#include "rk_movement.h"
#include "rk_numbers.h"
#include "rk_operators.h"
#include "rk_peaks.h"
#include "rk_pointwise.h"
#include "rk_random.h"
#include "rk_runtime.h"
#include "rk_training.h"
#include "rk_weights.h"
#endif
