/* fuzz_interface.c: reads the input as a program of calls of renga.h: objects made, used, freed in any order, with arguments from small
 * to absurd. After each call: a known status; on failure a sentence and cleared out-parameters. Not here: hostile files (FuzzFiles).
 * Not done, because no library could survive it: freed handles, pointers to less memory than the call is told of. */
#include "renga.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, PIXELS = 4096, LONGEST_TEXT = 48 };

static const uint8_t *at, *end;
static uint8_t byte(void) { return at < end ? *at++ : 0; }

static int64_t number(void) {
  static const int64_t hostile[] = {0,        -1,       1,         2,         3,         INT32_MAX, INT32_MIN, INT64_MAX,
                                    INT64_MIN, 1 << 30, 1ll << 31, 1ll << 32, 1ll << 40, 1ll << 62, 255,       256};
  uint8_t b = byte();
  return b < 192 ? b % 16 : hostile[b % (sizeof hostile / sizeof hostile[0])];
}

/* NULL, a text that means something somewhere, or bytes of the input. */
static const char *text(void) {
  static const char *const known[] = {"cnn", "resnet", "stages=1,convolutions=1,width=2,classes=3,input=8x8x1",
                                      "depth=8,input=8x8x3,classes=3", "convolution", "channels=4,kernel=3,pad=1", "relu", "batch_norm",
                                      "max_pool", "kernel=2", "add", "concat",
                                      "global_average_pool", "linear", "channels=3", "flatten", "dropout", "softmax", "average_pool",
                                      "he_fan_out", "uniform", "batch=2,epochs=1", "fast,batch=3,epochs=2", "adamw,batch=1,epochs=1", "",
                                      "renga.normalization", "{\"mean\":[1],\"scale\":[0.5]}", "stage1.conv1.weight", "fc.bias", "train",
                                      "reference", "direct", "/dev/null", "/nothing/here", "channel_slice", "begin=0,count=1"};
  static char raw[4][LONGEST_TEXT + 1];
  static int turn;
  uint8_t b = byte();
  if (b < 24) return NULL;
  if (b < 216) return known[b % (sizeof known / sizeof known[0])];
  char *made = raw[turn++ % 4];
  size_t length = byte() % LONGEST_TEXT;
  for (size_t i = 0; i < length; i++) made[i] = (char)byte();
  made[length] = 0;
  return made;
}

static renga_network *networks[SLOTS];
static renga_builder *builders[SLOTS];
static renga_session *sessions[SLOTS];
static renga_dataset *datasets[SLOTS];
static renga_trainer *trainers[SLOTS];

/* A handle of the right kind most times; NULL or one of another kind else. */
static void *handle(void *const *slots) {
  uint8_t b = byte();
  if (b < 240) return slots[b % SLOTS];
  return b % 2 ? (void *)networks[0] : (void *)builders[0];
}
#define HANDLE(slots) handle((void *const *)(slots))

static float pixels[PIXELS];
static renga_source source(void) {
  renga_source source = {byte() < 8 ? NULL : pixels, {number(), number(), number(), number()}, (int32_t)(byte() % 8 ? byte() % 2 : number()),
                         (int32_t)(byte() % 8 ? byte() % 2 : number())};
  /* Most times a shape that fits the small networks; never more than there is. */
  uint8_t b = byte();
  if (b < 200) source.shape = (renga_shape){1 + b % 3, 8, 8, b % 2 ? 1 : 3};
  renga_shape s = source.shape;
  int small = s.n >= 1 && s.h >= 1 && s.w >= 1 && s.c >= 1 && s.n <= PIXELS && s.h <= PIXELS && s.w <= PIXELS && s.c <= PIXELS &&
              s.n * s.h <= PIXELS && s.n * s.h * s.w <= PIXELS && s.n * s.h * s.w * s.c <= PIXELS;
  if (!small && s.n > 0 && s.h > 0 && s.w > 0 && s.c > 0) source.shape.n = -s.n;
  return source;
}

/* The promise of every call. */
static int ok(renga_status status) {
  if (status == RENGA_OK) return 1;
  size_t length = strlen(renga_last_error());
  if (length == 0 || length >= RENGA_MAX_MESSAGE || strcmp(renga_status_name((int32_t)status), "unknown status") == 0) abort();
  if (status == RENGA_ERROR_INTERNAL) abort();
  return 0;
}
static void made(renga_status status, void *out) {
  if (ok(status) != (out != NULL)) abort();
}
static void made_text(renga_status status, char *out) {
  made(status, out);
  renga_text_free(out);
}

/* True where using the network is quick: the fuzzer looks for faults, not for heat. */
static int is_small(const renga_network *network) {
  renga_network_info info;
  renga_network_info_init(&info, sizeof info);
  if (!ok(renga_network_get_info(network, &info))) return 1;
  return info.macs < 2000000 && info.parameters < 200000 && info.layers < 200;
}

static void keep_network(renga_status status, renga_network *out) {
  made(status, out);
  if (out == NULL) return;
  if (!is_small(out)) {
    renga_network_free(out);
    return;
  }
  renga_network **slot = &networks[byte() % SLOTS];
  renga_network_free(*slot);
  *slot = out;
}

static void network_calls(void) {
  renga_network *out = (renga_network *)1;
  char *words = (char *)1;
  switch (byte() % 8) {
  case 0: {
    const char *architecture = text(), *options = text();
    /* Only families with bounded options: "resnet,widen=64" would be seconds of random numbers. */
    if (options != NULL && strstr(options, "input=8x8") == NULL) return;
    keep_network(renga_network_create(architecture, options, byte(), &out), out);
    return;
  }
  case 1: keep_network(renga_network_clone(HANDLE(networks), &out), out); return;
  case 2: keep_network(renga_network_fold_batch_norm(HANDLE(networks), &out, NULL), out); return;
  case 3: made_text(renga_network_describe(HANDLE(networks), (int32_t)number(), &words), words); return;
  case 4: {
    const char *name = text();
    float values[512] = {0};
    size_t count = byte() * 2u;
    renga_network *network = HANDLE(networks);
    if (byte() % 2)
      ok(renga_network_get_parameter(network, name, values, count));
    else
      ok(renga_network_set_parameter(network, name, values, count));
    return;
  }
  case 5: {
    const char *name = NULL;
    int64_t dimensions[RENGA_MAX_RANK];
    int32_t rank;
    made(renga_network_parameter_info(HANDLE(networks), number(), &name, dimensions, &rank), (void *)(uintptr_t)name);
    return;
  }
  case 6: {
    renga_network *network = HANDLE(networks);
    const char *key = text(), *value = text();
    ok(renga_network_set_metadata(network, key, value));
    if (ok(renga_network_get_metadata(network, key, &words))) renga_text_free(words);
    return;
  }
  default: {
    size_t length = (size_t)(end - at);
    keep_network(renga_network_load_memory(at, length, &out), out);
    at = end;
  }
  }
}

static void builder_calls(void) {
  int32_t value = 0, inputs[RENGA_MAX_INPUTS + 1];
  renga_builder *builder = HANDLE(builders), *out = (renga_builder *)1;
  switch (byte() % 6) {
  case 0: {
    made(renga_builder_create(&out), out);
    renga_builder **slot = &builders[byte() % SLOTS];
    renga_builder_free(*slot);
    *slot = out;
    return;
  }
  case 1: {
    const char *name = text();
    uint8_t b = byte();
    if (b < 200)
      ok(renga_builder_add_input(builder, name, 8, 8, b % 2 ? 1 : 3, &value));
    else
      ok(renga_builder_add_input(builder, name, number(), number(), number(), &value));
    return;
  }
  case 2: {
    renga_shape shape;
    ok(renga_builder_shape(builder, (int32_t)number(), &shape));
    return;
  }
  case 3: {
    const char *rule = text();
    int32_t last = (int32_t)number();
    renga_network *network = (renga_network *)1;
    renga_shape shape;
    /* Parameters are made here: only for outputs that are small. */
    if (builder != NULL && ok(renga_builder_shape(builder, last, &shape)) && shape.h * shape.w * shape.c > PIXELS) return;
    keep_network(renga_builder_finish(builder, &last, byte() % 8 ? 1 : 0, rule, byte(), &network), network);
    return;
  }
  default: {
    const char *op = text(), *attributes = text(), *name = byte() % 4 ? NULL : text();
    size_t count = byte() % 16 ? 1u + byte() % 3u : (size_t)number();
    for (size_t i = 0; i <= RENGA_MAX_INPUTS; i++) inputs[i] = (int32_t)number();
    if (attributes != NULL && strlen(attributes) > 30) return;
    if (!ok(renga_builder_add_layer(builder, op, attributes, name, inputs, count, &value)) && value != -1) abort();
  }
  }
}

static void session_calls(void) {
  renga_session *session = HANDLE(sessions), *out = (renga_session *)1;
  static float dst[PIXELS];
  switch (byte() % 5) {
  case 0: {
    renga_session_options options;
    renga_session_options_init(&options, sizeof options);
    if (byte() % 2) options.batch = byte() % 2 ? 3 : number();
    if (byte() % 8 == 0) options.height = number();
    if (byte() % 8 == 0) options.width = number();
    options.threads = byte() % 8 ? 1 + byte() % 2 : (int32_t)number();
    if (byte() % 8 == 0) options.size = (size_t)number();
    if (byte() % 4 == 0) options.algorithm = text();
    if (options.batch > 16 || options.height > 64 || options.width > 64) options.batch = -options.batch;
    made(renga_session_create(HANDLE(networks), byte() % 8 ? &options : NULL, &out), out);
    renga_session **slot = &sessions[byte() % SLOTS];
    if (out == NULL) return;
    renga_session_free(*slot);
    *slot = out;
    return;
  }
  case 1: {
    renga_source images = source();
    ok(renga_session_run(session, byte() < 4 ? NULL : &images, byte() < 4 ? NULL : dst, byte() % 8 ? PIXELS : byte(), (int32_t)(byte() % 3)));
    return;
  }
  case 2: {
    renga_source images[2] = {source(), source()};
    float *rooms[2] = {dst, byte() < 8 ? NULL : dst};
    size_t counts[2] = {PIXELS, byte()};
    ok(renga_session_run_many(session, images, byte() % 3u, rooms, counts, byte() % 3u, (int32_t)(byte() % 2)));
    return;
  }
  case 3: {
    renga_shape shape;
    ok(renga_session_input_shape(session, (int32_t)number(), &shape));
    ok(renga_session_output_shape(session, (int32_t)number(), &shape));
    return;
  }
  default: {
    /* A host of any version: its struct may be shorter or longer than the library's. */
    union {
      renga_memory memory;
      char room[256];
    } host;
    char *words = (char *)1;
    host.memory.size = 0;
    renga_memory_init(&host.memory, byte());
    ok(renga_session_memory(session, &host.memory));
    made_text(renga_session_profile(session, byte() % 4 ? 1 : -1, &words), words);
  }
  }
}

static int32_t stop(const renga_progress *progress, void *user_data) {
  (void)user_data;
  return progress->step % 3 == 0;
}

static void training_calls(void) {
  renga_dataset *set = HANDLE(datasets), *out = (renga_dataset *)1;
  renga_trainer *trainer = HANDLE(trainers), *begun = (renga_trainer *)1;
  int32_t labels[PIXELS];
  for (int i = 0; i < PIXELS; i++) labels[i] = i < 8 ? (int32_t)(byte() % 8 ? byte() % 3 : number()) : i % 3;
  switch (byte() % 8) {
  case 0: {
    renga_source images = source();
    made(renga_dataset_create(&images, byte() < 4 ? NULL : labels, byte() % 8 ? 3 : (int32_t)number(), &out), out);
    renga_dataset **slot = &datasets[byte() % SLOTS];
    if (out == NULL) return;
    renga_dataset_free(*slot);
    *slot = out;
    return;
  }
  case 1: {
    made(renga_dataset_take(set, number(), number(), &out), out);
    renga_dataset_free(out);
    return;
  }
  case 2: {
    static float images[PIXELS];
    ok(renga_dataset_get(set, number(), number(), byte() % 2 ? images : NULL, PIXELS, labels, PIXELS));
    const char *name = NULL;
    made(renga_dataset_class_name(set, (int32_t)number(), &name), (void *)(uintptr_t)name);
    return;
  }
  case 3: {
    const char *recipe = text();
    if (recipe != NULL && strstr(recipe, "batch=") == NULL) recipe = "batch=2,epochs=2";
    made(renga_trainer_create(HANDLE(networks), recipe, byte() % 8 ? 1 + byte() % 2 : (int32_t)number(), &begun), begun);
    renga_trainer **slot = &trainers[byte() % SLOTS];
    if (begun == NULL) return;
    renga_trainer_free(*slot);
    *slot = begun;
    return;
  }
  case 4: ok(renga_trainer_fit(trainer, set, byte() % 4 ? NULL : HANDLE(datasets), NULL, stop, NULL)); return;
  case 5: {
    renga_source images = source();
    double loss;
    ok(renga_trainer_step(trainer, &images, labels, byte() % 2 ? &loss : NULL, NULL));
    return;
  }
  case 6: {
    renga_network *network = (renga_network *)1;
    char *words = (char *)1;
    keep_network(renga_trainer_network(trainer, &network), network);
    made_text(renga_trainer_history(trainer, &words), words);
    made_text(renga_trainer_gates(trainer, &words), words);
    made_text(renga_trainer_profile(trainer, byte() % 4 ? 1 : -1, &words), words);
    return;
  }
  default: {
    int64_t confusion[64];
    double accuracy;
    ok(renga_evaluate(HANDLE(networks), set, 1, &accuracy, NULL, byte() % 2 ? confusion : NULL, byte() % 65u));
  }
  }
}

static void free_everything(void) {
  for (int i = 0; i < SLOTS; i++) {
    renga_trainer_free(trainers[i]);
    renga_dataset_free(datasets[i]);
    renga_session_free(sessions[i]);
    renga_builder_free(builders[i]);
    renga_network_free(networks[i]);
    trainers[i] = NULL;
    datasets[i] = NULL;
    sessions[i] = NULL;
    builders[i] = NULL;
    networks[i] = NULL;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  at = data;
  end = data + size;
  for (int i = 0; i < PIXELS; i++) pixels[i] = (float)(i % 7) - 3;
  /* Something to work with, so that short programs reach far. */
  if (!ok(renga_network_create("cnn", "stages=1,convolutions=1,width=2,classes=3,input=8x8x1", 1, &networks[0]))) abort();
  if (!ok(renga_builder_create(&builders[0]))) abort();
  for (int calls = 0; at < end && calls < 64; calls++) {
    switch (byte() % 4) {
    case 0: network_calls(); break;
    case 1: builder_calls(); break;
    case 2: session_calls(); break;
    default: training_calls(); break;
    }
  }
  free_everything();
  return 0;
}
