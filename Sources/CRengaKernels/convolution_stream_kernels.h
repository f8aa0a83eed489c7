/* convolution_stream_kernels.h: the sums of convolution_stream.c, written once over the vector layer. Included by convolution_kernels.h.
 * Not here: blocks, packing, threads. */

/* Most pixels at once: what the registers hold beside a line of weights. */
#define RK_STREAM_ROWS (RK_LANES == 16 ? 4 : RK_LANES == 8 ? 2 : 1)
#define RK_STREAM_VECTORS (RK_CONV_STREAM_LANES / RK_LANES)

typedef uint32_t stream_words __attribute__((vector_size(4 * RK_LANES), aligned(4)));

/* One line of a panel as f32. A word of bf16 weights holds one of an even vector below one of the next. */
RK_INLINE void stream_line(const rk_conv_stream *stream, const char *line, rk_vector *weight, const rk_conv_lines kind) {
#ifdef RK_COMPACT
  if (kind >= RK_LINES_COMPACT_F32) {
    compact_line(line, stream->exponents, weight, kind == RK_LINES_COMPACT_BF16);
    return;
  }
#endif
  (void)stream;
  for (int v = 0; v < RK_STREAM_VECTORS; v++) {
    if (kind == RK_LINES_F32) {
      weight[v] = rk_load((const float *)line + v * RK_LANES);
    } else {
      const stream_words words = *(const stream_words *)(line + v / 2 * 4 * RK_LANES);
      weight[v] = v % 2 == 0 ? (rk_vector)(words << 16) : (rk_vector)(words & 0xffff0000u);
    }
  }
}

RK_INLINE void stream_body(const rk_conv_stream *stream, const int rows, const rk_conv_lines kind) {
  enum { CACHE_LINE = 64 };
  const int bytes = (int)rk_conv_line_bytes(kind);
  rk_vector sum[RK_STREAM_ROWS][RK_STREAM_VECTORS];
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < RK_STREAM_VECTORS; v++) sum[i][v] = rk_zero();
  const char *panel = stream->panel;
#pragma clang loop unroll_count(4)
  for (int64_t line = 0; line < stream->lines; line++, panel += bytes) {
    rk_vector weight[RK_STREAM_VECTORS];
    for (int at = 0; at < bytes; at += CACHE_LINE) __builtin_prefetch(panel + stream->ahead + at, 0, 2);
    stream_line(stream, panel, weight, kind);
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

#ifdef RK_COMPACT
#define RK_STREAM_COMPACT(rows)                                                                                                            \
  static void stream_compact_##rows(const rk_conv_stream *stream) { stream_body(stream, rows, RK_LINES_COMPACT_F32); }                     \
  static void stream_compact_half_##rows(const rk_conv_stream *stream) { stream_body(stream, rows, RK_LINES_COMPACT_BF16); }
#else
#define RK_STREAM_COMPACT(rows)
#endif
#define RK_STREAM(rows)                                                                                                                    \
  static void stream_##rows(const rk_conv_stream *stream) { stream_body(stream, rows, RK_LINES_F32); }                                     \
  static void stream_half_##rows(const rk_conv_stream *stream) { stream_body(stream, rows, RK_LINES_BF16); }                               \
  RK_STREAM_COMPACT(rows)
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
#define RK_STREAM_TABLE                                                                                                                    \
  {{stream_1, stream_2, stream_3, stream_4},                                                                                               \
   {stream_half_1, stream_half_2, stream_half_3, stream_half_4},                                                                           \
   {stream_compact_1, stream_compact_2, stream_compact_3, stream_compact_4},                                                               \
   {stream_compact_half_1, stream_compact_half_2, stream_compact_half_3, stream_compact_half_4}}
#elif RK_LANES >= 8
#define RK_STREAM_TABLE {{stream_1, stream_2}, {stream_half_1, stream_half_2}}
#else
#define RK_STREAM_TABLE {{stream_1}, {stream_half_1}}
#endif
