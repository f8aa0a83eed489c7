/* train.c: builds a small network layer by layer, trains it, saves it and looks at what came out.
 * Usage: train OUT [FOLDER]   FOLDER: IDX or CIFAR files; without it, generated images (which quadrant is bright?).
 * Not here: longer trainings with checkpoints (see renga_trainer_fit's `checkpoint` and renga_trainer_resume). */
#include <renga.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 16, CLASSES = 4, TRAIN_IMAGES = 512, TEST_IMAGES = 128 };

static int failed(renga_status status, const char *what) {
  if (status == RENGA_OK) return 0;
  fprintf(stderr, "train: %s: %s (%s)\n", what, renga_last_error(), renga_status_name((int32_t)status));
  return 1;
}

/* Grey images [N,16,16,1] of noise; one quadrant is brighter, and the label says which. */
static renga_status generate(int64_t n, uint32_t seed, renga_dataset **out) {
  unsigned char *pixels = malloc((size_t)n * SIDE * SIDE);
  int32_t *labels = malloc((size_t)n * sizeof *labels);
  renga_status status = RENGA_ERROR_OUT_OF_MEMORY;
  if (pixels != NULL && labels != NULL) {
    for (int64_t i = 0; i < n; i++) {
      labels[i] = (int32_t)(i % CLASSES);
      for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
          seed = seed * 1664525u + 1013904223u;
          int bright = (y >= SIDE / 2) * 2 + (x >= SIDE / 2) == labels[i];
          pixels[(i * SIDE + y) * SIDE + x] = (unsigned char)((seed >> 25) + (bright ? 96 : 0));
        }
    }
    renga_source images = {pixels, {n, SIDE, SIDE, 1}, RENGA_U8, RENGA_NHWC};
    status = renga_dataset_create(&images, labels, CLASSES, out);
  }
  free(labels);
  free(pixels);
  return status;
}

/* conv - batch norm - ReLU - pool, twice, and a linear layer over the averages. */
static renga_status build(renga_shape image, int32_t classes, renga_network **out) {
  renga_builder *builder = NULL;
  int32_t v = 0;
  char linear[32];
  snprintf(linear, sizeof linear, "channels=%d", (int)classes);
  const char *const layers[][2] = {{"convolution", "channels=8,kernel=3,pad=1,bias=no"},
                                   {"batch_norm", NULL},
                                   {"relu", NULL},
                                   {"max_pool", "kernel=2"},
                                   {"convolution", "channels=16,kernel=3,pad=1,bias=no"},
                                   {"batch_norm", NULL},
                                   {"relu", NULL},
                                   {"global_average_pool", NULL},
                                   {"linear", linear}};
  renga_status status = renga_builder_create(&builder);
  if (status == RENGA_OK) status = renga_builder_add_input(builder, NULL, image.h, image.w, image.c, &v);
  for (size_t i = 0; i < sizeof layers / sizeof layers[0] && status == RENGA_OK; i++) {
    int32_t below = v;
    status = renga_builder_add_layer(builder, layers[i][0], layers[i][1], NULL, &below, 1, &v);
  }
  if (status == RENGA_OK) status = renga_builder_finish(builder, &v, 1, NULL, 7, out);
  renga_builder_free(builder);
  return status;
}

static int32_t show(const renga_progress *progress, void *user_data) {
  (void)user_data;
  if (progress->epoch_ended)
    printf("epoch %lld of %lld: loss %.4f, accuracy %.3f, test accuracy %.3f, %.0f images/s\n", (long long)progress->epoch,
           (long long)progress->epochs, progress->loss, progress->accuracy, progress->test_accuracy, progress->images_per_second);
  return 0; /* anything else stops here with RENGA_CANCELLED */
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: %s OUT [FOLDER]\n", argv[0]);
    return 2;
  }
  renga_dataset *train = NULL, *test = NULL;
  renga_network *network = NULL, *trained = NULL;
  renga_trainer *trainer = NULL;
  renga_shape images;
  int32_t classes;
  double accuracy = 0, loss = 0;
  int result = argc > 2 ? failed(renga_dataset_open(argv[2], "train", &train), argv[2]) ||
                              failed(renga_dataset_open(argv[2], "test", &test), argv[2])
                        : failed(generate(TRAIN_IMAGES, 1, &train), "training set") ||
                              failed(generate(TEST_IMAGES, 2, &test), "test set");
  result = result || failed(renga_dataset_info(train, &images, &classes), "training set") ||
           failed(build(images, classes, &network), "building") ||
           failed(renga_trainer_create(network, "epochs=3,batch=32,learning_rate=0.05,seed=1", 0, &trainer), "recipe") ||
           failed(renga_trainer_fit(trainer, train, test, NULL, show, NULL), "training") ||
           failed(renga_trainer_network(trainer, &trained), "network") || failed(renga_network_save(trained, argv[1]), argv[1]) ||
           failed(renga_evaluate(trained, test, 0, &accuracy, &loss, NULL, 0), "evaluating");
  if (!result) printf("test accuracy %.3f, loss %.4f; saved to %s\n", accuracy, loss, argv[1]);
  renga_trainer_free(trainer);
  renga_network_free(trained);
  renga_network_free(network);
  renga_dataset_free(test);
  renga_dataset_free(train);
  return result;
}
