/* classify.c: loads a saved network and classifies the first images of an IDX pair (MNIST's format, plain or .gz).
 * Usage: classify NETWORK IMAGES LABELS [COUNT]
 * Not here: training (train.c), batches and threads (examples/cpp/frames.cpp). */
#define _POSIX_C_SOURCE 200112L /* clock_gettime */
#include <renga.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

/* Says what went wrong, in the library's words; true where something did. */
static int failed(renga_status status, const char *what) {
  if (status == RENGA_OK) return 0;
  fprintf(stderr, "classify: %s: %s (%s)\n", what, renga_last_error(), renga_status_name((int32_t)status));
  return 1;
}

static int64_t largest(const float *values, int64_t count) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; i++)
    if (values[i] > values[best]) best = i;
  return best;
}

/* One image at a time, as a camera would give them. */
static int classify(renga_session *session, const renga_dataset *set, int64_t count, renga_shape image, int64_t classes) {
  size_t pixels = (size_t)(image.h * image.w * image.c);
  float *numbers = malloc(pixels * sizeof *numbers);
  unsigned char *bytes = malloc(pixels);
  float *scores = malloc((size_t)classes * sizeof *scores);
  int result = numbers == NULL || bytes == NULL || scores == NULL;
  int64_t right = 0;
  double total = 0, best = 1e30;
  for (int64_t i = 0; i < count && !result; i++) {
    int32_t label;
    if ((result = failed(renga_dataset_get(set, i, 1, numbers, pixels, &label, 1), "reading an image"))) break;
    /* Pixels as bytes: the network normalises bytes by itself, in the way that it was trained with. */
    for (size_t p = 0; p < pixels; p++) bytes[p] = (unsigned char)numbers[p];
    renga_source source = {bytes, {1, image.h, image.w, image.c}, RENGA_U8, RENGA_NHWC};
    double begin = milliseconds();
    if ((result = failed(renga_session_run(session, &source, scores, (size_t)classes, RENGA_NHWC), "running"))) break;
    double elapsed = milliseconds() - begin;
    int64_t answer = largest(scores, classes);
    const char *label_name = "", *answer_name = "";
    if (failed(renga_dataset_class_name(set, label, &label_name), "naming a class")) label_name = "";
    if (failed(renga_dataset_class_name(set, (int32_t)answer, &answer_name), "naming a class")) answer_name = "";
    printf("image %lld: label %d%s%s, prediction %lld%s%s, %.3f ms\n", (long long)i, (int)label, *label_name ? " " : "", label_name,
           (long long)answer, *answer_name ? " " : "", answer_name, elapsed);
    right += answer == label;
    total += elapsed;
    if (elapsed < best) best = elapsed;
  }
  if (!result)
    printf("%lld of %lld right; %.3f ms an image on average, %.3f ms at best\n", (long long)right, (long long)count, total / (double)count,
           best);
  free(scores);
  free(bytes);
  free(numbers);
  return result;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: %s NETWORK IMAGES LABELS [COUNT]\n", argv[0]);
    return 2;
  }
  renga_network *network = NULL;
  renga_dataset *set = NULL;
  renga_session *session = NULL;
  renga_shape all, image, answer;
  int result = failed(renga_version_check(RENGA_VERSION_NUMBER), "version") || failed(renga_network_load(argv[1], &network), argv[1]) ||
               failed(renga_dataset_open_idx(argv[2], argv[3], &set), argv[2]) || failed(renga_dataset_info(set, &all, NULL), argv[2]) ||
               failed(renga_session_create(network, NULL, &session), "compiling") ||
               failed(renga_session_input_shape(session, 0, &image), "compiling") ||
               failed(renga_session_output_shape(session, 0, &answer), "compiling");
  if (!result && (all.h != image.h || all.w != image.w || all.c != image.c)) {
    fprintf(stderr, "classify: the images are %lldx%lldx%lld, the network wants %lldx%lldx%lld\n", (long long)all.h, (long long)all.w,
            (long long)all.c, (long long)image.h, (long long)image.w, (long long)image.c);
    result = 1;
  }
  if (!result) {
    long count = argc > 4 ? strtol(argv[4], NULL, 10) : 10;
    if (count < 1) count = 1;
    result = classify(session, set, count < all.n ? count : all.n, image, answer.h * answer.w * answer.c);
  }
  renga_session_free(session);
  renga_dataset_free(set);
  renga_network_free(network);
  return result;
}
