/* client-0.1.0.c: a program as it was built against renga 0.1.0: compiled with that version's header, it must run with every later library
 * of the same SONAME. Uses every struct, enum and kind of object of that header. Frozen with it: neither of the two is ever edited.
 * Usage: client FOLDER, for files of its own. Not here: what later headers brought. */
#include "renga-0.1.0.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 36, SIDE = 8, PIXELS = SIDE * SIDE, CLASSES = 3 };

#define EXPECT(condition)                                                                                                                  \
  do {                                                                                                                                     \
    if (!(condition)) {                                                                                                                    \
      fprintf(stderr, "line %d: %s; last error: %s\n", __LINE__, #condition, renga_last_error());                                          \
      exit(1);                                                                                                                             \
    }                                                                                                                                      \
  } while (0)

static renga_network *build(void) {
  renga_builder *builder = NULL;
  renga_network *network = NULL;
  renga_shape shape;
  int32_t value = -1;
  EXPECT(renga_builder_create(&builder) == RENGA_OK);
  EXPECT(renga_builder_add_input(builder, "image", SIDE, SIDE, 1, &value) == RENGA_OK && value == 0);
  EXPECT(renga_builder_add_layer(builder, "convolution", "channels=4,kernel=3,pad=1,bias=1", "conv", &value, 1, &value) == RENGA_OK);
  EXPECT(renga_builder_add_layer(builder, "relu", NULL, NULL, &value, 1, &value) == RENGA_OK);
  EXPECT(renga_builder_add_layer(builder, "global_average_pool", NULL, NULL, &value, 1, &value) == RENGA_OK);
  EXPECT(renga_builder_add_layer(builder, "linear", "channels=3", "scores", &value, 1, &value) == RENGA_OK);
  EXPECT(renga_builder_shape(builder, value, &shape) == RENGA_OK && shape.n == 1 && shape.c == CLASSES);
  EXPECT(renga_builder_finish(builder, &value, 1, "he_fan_out", 5, &network) == RENGA_OK);
  renga_builder_free(builder);
  return network;
}

static void inspect(const renga_network *network) {
  renga_network_info info;
  const char *name = NULL;
  int64_t dimensions[RENGA_MAX_RANK], count = 0;
  int32_t rank = 0;
  float weight[9 * 4];
  renga_network_info_init(&info, sizeof info);
  EXPECT(renga_network_get_info(network, &info) == RENGA_OK && info.size == sizeof info);
  EXPECT(info.parameters == 9 * 4 + 4 + 4 * 3 + 3 && info.macs > PIXELS * 9 * 4 && info.inputs == 1 && info.outputs == 1);
  EXPECT(info.input_shape.h == SIDE && info.input_shape.c == 1 && info.output_shape.c == CLASSES);
  EXPECT(renga_network_parameter_count(network, &count) == RENGA_OK && count == 4);
  EXPECT(renga_network_parameter_info(network, 0, &name, dimensions, &rank) == RENGA_OK && rank == 4);
  EXPECT(strcmp(name, "conv.weight") == 0 && dimensions[0] == 3 && dimensions[3] == 4);
  EXPECT(renga_network_get_parameter(network, name, weight, 9 * 4) == RENGA_OK);
  EXPECT(renga_network_get_parameter(network, name, weight, 9 * 4 + 1) == RENGA_ERROR_SHAPE_MISMATCH);
  for (int32_t form = RENGA_DESCRIPTION_TEXT; form <= RENGA_DESCRIPTION_DOT; form++) {
    char *text = NULL;
    EXPECT(renga_network_describe(network, form, &text) == RENGA_OK && strstr(text, "conv") != NULL);
    renga_text_free(text);
  }
}

static void infer(const renga_network *network, const char *algorithm) {
  renga_session_options options;
  renga_session *session = NULL;
  renga_memory memory;
  float image[2 * PIXELS], one[2 * CLASSES], other[2 * CLASSES];
  renga_source src = {image, {2, SIDE, SIDE, 1}, RENGA_F32, RENGA_NHWC};
  for (int i = 0; i < 2 * PIXELS; i++) image[i] = (float)(i % 7) - 3;
  for (int pass = 0; pass < 2; pass++) {
    renga_session_options_init(&options, sizeof options);
    EXPECT(options.size == sizeof options && options.batch == 1 && options.fold_batch_norm == 1 && options.algorithm == NULL);
    options.batch = 2;
    options.threads = 1 + pass;
    options.algorithm = pass == 0 ? NULL : algorithm;
    options.precision = pass == 0 ? RENGA_PRECISION_F32 : RENGA_PRECISION_BF16;
    renga_memory_init(&memory, sizeof memory);
    EXPECT(renga_network_session_memory(network, &options, &memory) == RENGA_OK && memory.weights > 0 && memory.activations > 0);
    EXPECT(renga_session_create(network, &options, &session) == RENGA_OK);
    EXPECT(renga_session_run(session, &src, pass == 0 ? one : other, 2 * CLASSES, RENGA_NCHW) == RENGA_OK);
    renga_session_free(session);
  }
  for (int i = 0; i < 2 * CLASSES; i++) EXPECT(fabsf(one[i] - other[i]) <= 0.05f * (1 + fabsf(one[i])));
}

typedef struct {
  int64_t steps, epochs, stop;
} Seen;

static int32_t watch(const renga_progress *progress, void *user_data) {
  Seen *seen = user_data;
  EXPECT(progress->size >= sizeof *progress && progress->epoch >= 1 && progress->epochs == 2 && progress->batches == 3);
  EXPECT(progress->loss > 0 && progress->accuracy >= 0 && progress->accuracy <= 1 && progress->seconds >= 0);
  if (progress->epoch_ended) {
    seen->epochs++;
    EXPECT(progress->test_accuracy >= 0 && progress->test_accuracy <= 1);
  } else {
    EXPECT(progress->step == ++seen->steps);
  }
  return progress->step == seen->stop;
}

static renga_dataset *stripes(void) {
  static unsigned char pixels[IMAGES * PIXELS];
  static int32_t labels[IMAGES];
  renga_source images = {pixels, {IMAGES, SIDE, SIDE, 1}, RENGA_U8, RENGA_NHWC};
  renga_dataset *set = NULL;
  for (int i = 0; i < IMAGES; i++) {
    labels[i] = i % CLASSES;
    for (int p = 0; p < PIXELS; p++) pixels[i * PIXELS + p] = (unsigned char)((i * 31 + p * 17) % 90 + 120 * (p % SIDE / 3 == labels[i]));
  }
  EXPECT(renga_dataset_create(&images, labels, CLASSES, &set) == RENGA_OK);
  return set;
}

static renga_network *train(const renga_network *start, const renga_dataset *set, const char *checkpoint) {
  renga_trainer_options options;
  renga_trainer *trainer = NULL, *resumed = NULL;
  renga_memory memory;
  renga_network *trained = NULL;
  char *history = NULL;
  double accuracy = -1, loss = -1;
  int64_t confusion[CLASSES * CLASSES], sum = 0;
  Seen seen = {0, 0, 2};
  renga_trainer_options_init(&options, sizeof options);
  EXPECT(options.size == sizeof options && options.memory_budget == 0 && options.threads == 0);
  options.threads = 1;
  EXPECT(renga_trainer_create_with(start, "batch=12,epochs=2", &options, &trainer) == RENGA_OK);
  EXPECT(renga_trainer_fit(trainer, set, set, NULL, watch, &seen) == RENGA_CANCELLED && seen.steps == 2);
  EXPECT(renga_trainer_save(trainer, checkpoint) == RENGA_OK && renga_trainer_resume(checkpoint, 1, &resumed) == RENGA_OK);
  seen.stop = -1;
  EXPECT(renga_trainer_fit(resumed, set, set, NULL, watch, &seen) == RENGA_OK && seen.steps == 6 && seen.epochs == 2);
  renga_memory_init(&memory, sizeof memory);
  EXPECT(renga_trainer_memory(resumed, &memory) == RENGA_OK && memory.parameters > 0 && memory.gradients > 0 && memory.optimizer > 0);
  EXPECT(renga_trainer_history(resumed, &history) == RENGA_OK && strstr(history, "\"epochs\"") != NULL);
  EXPECT(renga_trainer_network(resumed, &trained) == RENGA_OK);
  EXPECT(renga_evaluate(trained, set, 1, &accuracy, &loss, confusion, CLASSES * CLASSES) == RENGA_OK);
  for (int i = 0; i < CLASSES * CLASSES; i++) sum += confusion[i];
  EXPECT(sum == IMAGES && accuracy >= 0 && accuracy <= 1 && loss > 0);
  renga_text_free(history);
  renga_trainer_free(trainer);
  renga_trainer_free(resumed);
  return trained;
}

int main(int argc, char **argv) {
  char checkpoint[4096], saved[4096];
  renga_network *loaded = NULL, *folded = NULL, *known = NULL;
  char *text = NULL;
  EXPECT(argc == 2 && strlen(argv[1]) < 4000);
  snprintf(checkpoint, sizeof checkpoint, "%s/checkpoint.renga", argv[1]);
  snprintf(saved, sizeof saved, "%s/saved.renga", argv[1]);

  EXPECT(renga_version_check(RENGA_VERSION_NUMBER) == RENGA_OK && renga_version_number() >= RENGA_VERSION_NUMBER);
  EXPECT(strcmp(renga_status_name(RENGA_ERROR_INTERNAL), "RENGA_ERROR_INTERNAL") == 0);
  EXPECT(renga_default_threads() >= 1 && renga_default_threads() <= RENGA_MAX_THREADS);
  EXPECT(renga_network_load("/nothing", &loaded) == RENGA_ERROR_FILE && loaded == NULL && strlen(renga_last_error()) < RENGA_MAX_MESSAGE);
  EXPECT(renga_network_create("never", NULL, 1, &known) == RENGA_ERROR_NOT_FOUND);
  EXPECT(renga_network_create("resnet", "depth=8,classes=3,input=8x8x1", 1, &known) == RENGA_OK);
  EXPECT(renga_network_fold_batch_norm(known, &folded, &text) == RENGA_OK && text != NULL);
  renga_text_free(text);
  infer(folded, "direct");

  renga_network *network = build();
  inspect(network);
  infer(network, "conv=direct");
  renga_dataset *set = stripes();
  renga_network *trained = train(network, set, checkpoint);
  EXPECT(renga_network_set_metadata(trained, "note", "old") == RENGA_OK && renga_network_save(trained, saved) == RENGA_OK);
  EXPECT(renga_network_load(saved, &loaded) == RENGA_OK && renga_network_get_metadata(loaded, "note", &text) == RENGA_OK);
  EXPECT(strcmp(text, "old") == 0);
  renga_text_free(text);
  inspect(loaded);
  renga_network_free(loaded);
  renga_network_free(trained);
  renga_network_free(network);
  renga_network_free(folded);
  renga_network_free(known);
  renga_dataset_free(set);
  puts("a program of 0.1.0 runs");
  return 0;
}
