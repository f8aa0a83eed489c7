/* leaks.c: every object made, used, failed with and freed, many times, under LeakSanitizer: nothing may be left. Built and run by
 * test_programs.py and .ci/sanitize. Not here: values (the other tests). */
#include <renga.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 24, PIXELS = 64 };

#define MUST(call)                                                                                                                         \
  do {                                                                                                                                     \
    if ((call) != RENGA_OK) {                                                                                                              \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, renga_last_error());                                                              \
      exit(2);                                                                                                                             \
    }                                                                                                                                      \
  } while (0)
#define MUST_FAIL(call)                                                                                                                    \
  do {                                                                                                                                     \
    if ((call) == RENGA_OK) {                                                                                                              \
      fprintf(stderr, "%s:%d: succeeds\n", __FILE__, __LINE__);                                                                            \
      exit(2);                                                                                                                             \
    }                                                                                                                                      \
  } while (0)

static void drop(char *text) {
  if (text == NULL || strlen(text) == 0) exit(2);
  renga_text_free(text);
}

static int32_t cancel(const renga_progress *progress, void *user_data) {
  int64_t *step = user_data;
  return progress->step == *step;
}

static void use_network(renga_network *network, const char *path) {
  renga_network *copy = NULL, *folded = NULL, *none = NULL;
  renga_session *session = NULL;
  char *text = NULL;
  float pixels[PIXELS] = {0}, scores[3];
  renga_source image = {pixels, {1, 8, 8, 1}, RENGA_F32, RENGA_NHWC};
  MUST(renga_network_clone(network, &copy));
  MUST(renga_network_set_metadata(copy, "note", "text"));
  MUST(renga_network_get_metadata(copy, "note", &text));
  drop(text);
  MUST(renga_network_fold_batch_norm(copy, &folded, &text));
  drop(text);
  for (int32_t form = 0; form < 3; form++) {
    MUST(renga_network_describe(folded, form, &text));
    drop(text);
  }
  MUST(renga_network_save(folded, path));
  renga_network_free(folded);
  MUST(renga_network_load(path, &folded));
  MUST_FAIL(renga_network_load("/nothing", &none));
  MUST_FAIL(renga_network_load_memory(pixels, sizeof pixels, &none));
  MUST_FAIL(renga_network_create("cnn", "stages=99", 1, &none));
  MUST(renga_session_create(folded, NULL, &session));
  MUST(renga_session_run(session, &image, scores, 3, RENGA_NHWC));
  image.shape.h = 9;
  MUST_FAIL(renga_session_run(session, &image, scores, 3, RENGA_NHWC));
  MUST(renga_session_profile(session, 1, &text));
  drop(text);
  renga_session_free(session);
  renga_network_free(folded);
  renga_network_free(copy);
}

static void train(renga_network *network, const char *path) {
  unsigned char pixels[IMAGES * PIXELS];
  int32_t labels[IMAGES];
  for (int i = 0; i < IMAGES * PIXELS; i++) pixels[i] = (unsigned char)(i * 31);
  for (int i = 0; i < IMAGES; i++) labels[i] = i % 3;
  renga_source images = {pixels, {IMAGES, 8, 8, 1}, RENGA_U8, RENGA_NHWC};
  renga_dataset *set = NULL, *part = NULL;
  renga_trainer *trainer = NULL, *resumed = NULL;
  renga_network *trained = NULL;
  char *text = NULL;
  int64_t step = 3;
  MUST(renga_dataset_create(&images, labels, 3, &set));
  MUST(renga_dataset_take(set, 0, 12, &part));
  MUST(renga_trainer_create(network, "epochs=2,batch=6,flip=yes,pad=1", 2, &trainer));
  MUST_FAIL(renga_trainer_fit(trainer, set, part, path, cancel, &step));
  MUST(renga_trainer_save(trainer, path));
  MUST(renga_trainer_resume(path, 2, &resumed));
  MUST(renga_trainer_fit(resumed, set, part, path, NULL, NULL));
  MUST(renga_trainer_history(resumed, &text));
  drop(text);
  MUST(renga_trainer_gates(resumed, &text));
  drop(text);
  MUST(renga_trainer_force_gates(resumed, NULL));
  MUST(renga_trainer_profile(resumed, 1, &text));
  drop(text);
  MUST(renga_trainer_network(resumed, &trained));
  MUST(renga_evaluate(trained, set, 2, NULL, NULL, NULL, 0));
  renga_trainer_free(trainer);
  MUST_FAIL(renga_trainer_create(network, "epochs=0", 1, &trainer));
  renga_network_free(trained);
  renga_trainer_free(resumed);
  renga_dataset_free(part);
  renga_dataset_free(set);
}

static renga_network *build(void) {
  renga_builder *builder = NULL;
  renga_network *network = NULL;
  int32_t value;
  MUST(renga_builder_create(&builder));
  MUST(renga_builder_add_input(builder, NULL, 8, 8, 1, &value));
  int32_t input = value;
  MUST(renga_builder_add_layer(builder, "convolution", "channels=4,kernel=3,pad=1", NULL, &input, 1, &value));
  MUST(renga_builder_add_layer(builder, "batch_norm", NULL, NULL, &value, 1, &value));
  MUST(renga_builder_add_layer(builder, "global_average_pool", NULL, NULL, &value, 1, &value));
  MUST_FAIL(renga_builder_add_layer(builder, "nothing", NULL, NULL, &value, 1, &input));
  MUST(renga_builder_add_layer(builder, "linear", "channels=3", NULL, &value, 1, &value));
  MUST(renga_builder_finish(builder, &value, 1, NULL, 1, &network));
  renga_builder_free(builder);
  return network;
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  for (int turn = 0; turn < 5; turn++) {
    renga_network *network = build();
    use_network(network, argv[1]);
    train(network, argv[1]);
    renga_network_free(network);
  }
  return 0;
}
