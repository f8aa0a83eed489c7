/* convolution_stream_kernels.h: the sums of convolution_stream.c, written once over the vector layer. Included by convolution_kernels.h.
 * Not here: blocks, packing, threads. */

/* Most pixels at once: what the registers hold beside a line of weights. */
#define RK_STREAM_ROWS (RK_LANES == 16 ? 4 : RK_LANES == 8 ? 2 : 1)
#define RK_STREAM_VECTORS (RK_CONV_STREAM_LANES / RK_LANES)

typedef uint32_t stream_words __attribute__((vector_size(4 * RK_LANES), aligned(4)));

/* One line of a panel as f32. A word of bf16 weights holds one of an even vector below one of the next. */
RK_INLINE void stream_line(const char *line, rk_vector *weight, const int half) {
  for (int v = 0; v < RK_STREAM_VECTORS; v++) {
    if (!half) {
      weight[v] = rk_load((const float *)line + v * RK_LANES);
    } else {
      const stream_words words = *(const stream_words *)(line + v / 2 * 4 * RK_LANES);
      weight[v] = v % 2 == 0 ? (rk_vector)(words << 16) : (rk_vector)(words & 0xffff0000u);
    }
  }
}

RK_INLINE void stream_body(const rk_conv_stream *stream, const int rows, const int half) {
  enum { CACHE_LINE = 64 };
  const int bytes = RK_CONV_STREAM_LANES * (half ? 2 : 4);
  rk_vector sum[RK_STREAM_ROWS][RK_STREAM_VECTORS];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < RK_STREAM_VECTORS; v++) sum[i][v] = rk_zero();
  const char *panel = stream->panel;
#pragma clang loop unroll_count(4)
  for (int64_t line = 0; line < stream->lines; line++, panel += bytes) {
    rk_vector weight[RK_STREAM_VECTORS];
    for (int at = 0; at < bytes; at += CACHE_LINE) __builtin_prefetch(panel + stream->ahead + at, 0, 2);
    stream_line(panel, weight, half);
    for (int i = 0; i < rows; i++) {
      const rk_vector value = rk_broadcast(stream->src[i * stream->src_row + line]);
      for (int v = 0; v < RK_STREAM_VECTORS; v++) sum[i][v] = rk_fma(value, weight[v], sum[i][v]);
    }
  }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < RK_STREAM_VECTORS; v++) {
      float *to = stream->sums + i * RK_CONV_STREAM_LANES + v * RK_LANES;
      rk_store(to, rk_add(rk_load(to), sum[i][v]));
    }
}

#define RK_STREAM(rows)                                                                                                                    \
  static void stream_##rows(const rk_conv_stream *stream) { stream_body(stream, rows, 0); }                                                \
  static void stream_half_##rows(const rk_conv_stream *stream) { stream_body(stream, rows, 1); }
/* clang-format off */
RK_STREAM(1)
#if RK_LANES >= 8
RK_STREAM(2)
#endif
#if RK_LANES >= 16
RK_STREAM(3) RK_STREAM(4)
#endif
/* clang-format on */

#if RK_LANES >= 16
#define RK_STREAM_TABLE {{stream_1, stream_2, stream_3, stream_4}, {stream_half_1, stream_half_2, stream_half_3, stream_half_4}}
#elif RK_LANES >= 8
#define RK_STREAM_TABLE {{stream_1, stream_2}, {stream_half_1, stream_half_2}}
#else
#define RK_STREAM_TABLE {{stream_1}, {stream_half_1}}
#endif
