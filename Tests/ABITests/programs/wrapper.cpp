// wrapper.cpp: renga.hpp from a host: errors as exceptions, moves, an exception out of a callback. Built and run by test_programs.py.
// Not here: what the C functions do (the tests beside this).
#include <renga.hpp>

#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <type_traits>

static int failures = 0;
#define CHECK(condition)                                                                                                                   \
  do {                                                                                                                                     \
    if (!(condition)) {                                                                                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                                 \
      failures++;                                                                                                                          \
    }                                                                                                                                      \
  } while (0)

template <class Function> static renga_status status_of(Function function) {
  try {
    function();
  } catch (const renga::Error &error) {
    CHECK(error.what()[0] != 0);
    return error.status();
  }
  return RENGA_OK;
}

static_assert(!std::is_copy_constructible_v<renga::Network> && std::is_nothrow_move_constructible_v<renga::Network>);
static_assert(!std::is_copy_constructible_v<renga::Session> && std::is_nothrow_move_constructible_v<renga::Session>);
static_assert(!std::is_copy_constructible_v<renga::Trainer> && std::is_nothrow_move_assignable_v<renga::Trainer>);
static_assert(!std::is_copy_constructible_v<renga::Dataset> && !std::is_copy_constructible_v<renga::Builder>);

static renga::Dataset stripes(std::int64_t n) {
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(n) * 64);
  std::vector<std::int32_t> labels(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < labels.size(); i++) {
    labels[i] = static_cast<std::int32_t>(i % 2);
    for (std::size_t p = 0; p < 64; p++) {
      const bool bright = (p % 8 < 4) == (i % 2 == 0);
      pixels[i * 64 + p] = static_cast<std::uint8_t>((p * 37 + i * 11) % 64 + (bright ? 120 : 0));
    }
  }
  return renga::Dataset(renga::images(pixels.data(), {n, 8, 8, 1}), labels, 2);
}

static renga::Network small() { return renga::Network::create("cnn", "stages=1,convolutions=1,width=4,classes=2,input=8x8x1", 3); }

static void networks(const std::string &folder) {
  renga::Network network = small();
  const auto parameters = network.parameters();
  const auto values = network.parameter(parameters[0].name);
  CHECK(values.size() == parameters[0].count());
  network.set_parameter(parameters[0].name, std::vector<float>(values.size(), 0.5f));
  CHECK(network.parameter(parameters[0].name)[0] == 0.5f);
  CHECK(status_of([&] { network.parameter("nothing"); }) == RENGA_ERROR_NOT_FOUND);
  CHECK(status_of([&] { network.set_parameter(parameters[0].name, {1, 2}); }) == RENGA_ERROR_SHAPE_MISMATCH);
  CHECK(status_of([] { renga::Network::load("/nothing"); }) == RENGA_ERROR_FILE);
  CHECK(!network.metadata("note"));
  network.set_normalization({128}, {0.0078125F});
  CHECK(network.metadata("renga.normalization") == "{\"mean\":[128.0],\"scale\":[0.0078125]}");
  network.set_normalization({}, {});
  CHECK(!network.metadata("renga.normalization"));
  network.set_metadata("note", "x");
  CHECK(network.metadata("note") == "x");
  network.remove_metadata("note");
  CHECK(!network.metadata("note"));
  network.save(folder + "/wrapper.renga");
  CHECK(renga::Network::load(folder + "/wrapper.renga").parameter(parameters[0].name) == network.parameter(parameters[0].name));
  const std::vector<float> image(64, 0.25f);
  const renga_source src = renga::images(image.data(), {1, 8, 8, 1});
  CHECK(renga::Session::load(folder + "/wrapper.renga").run(src) == renga::Session(network).run(src));
  CHECK(status_of([] { renga::Session::load("/nothing"); }) == RENGA_ERROR_FILE);
  renga::Network moved = std::move(network);
  CHECK(network.get() == nullptr && moved.info().parameters > 0);
  std::string report;
  CHECK(moved.fold_batch_norm(&report).info().layers < moved.info().layers && !report.empty());
  /* An ONNX file with one node Erf: x [1,2] -> y. */
  static const unsigned char erf[] = "\x08\x08\x3a\x27\x0a\x0b\x0a\x01x\x12\x01y\x22\x03"
                                     "Erf\x5a\x13\x0a\x01x\x12\x0e\x0a\x0c\x08\x01\x12\x08\x0a\x02\x08\x01\x0a\x02\x08\x02"
                                     "\x62\x03\x0a\x01y\x42\x02\x10\x0d";
  CHECK(status_of([&] { renga::Network::import_onnx(erf, sizeof erf - 1, "height=32", &report); }) == RENGA_ERROR_UNSUPPORTED);
  CHECK(report.find("Erf") != std::string::npos);
  CHECK(status_of([] { renga::Network::import_onnx("/nothing"); }) == RENGA_ERROR_FILE);
  CHECK(moved.describe(RENGA_DESCRIPTION_DOT).rfind("digraph", 0) == 0);
}

static void sessions() {
  renga::Builder builder;
  const auto input = builder.input(2, 2, 1);
  const auto output = builder.layer("relu", "", {input});
  CHECK(builder.shape(output).h == 2);
  CHECK(status_of([&] { builder.layer("nothing", "", {input}); }) == RENGA_ERROR_NOT_FOUND);
  renga_session_options options = renga::session_options();
  options.batch = 3;
  options.threads = 1;
  renga::Session session(builder.finish({output}), options);
  const std::vector<float> pixels = {-1, 2, -3, 4, 5, -6, 7, -8};
  CHECK((session.run(renga::images(pixels.data(), {2, 2, 2, 1})) == std::vector<float>{0, 2, 0, 4, 5, 0, 7, 0}));
  CHECK(status_of([&] { session.run(renga::images(pixels.data(), {4, 2, 2, 1})); }) == RENGA_ERROR_INVALID_ARGUMENT);
  const renga_strided mirrored = renga::strided(pixels.data() + 1, 4 * sizeof(float), 2 * sizeof(float), -std::int64_t(sizeof(float)), 0);
  CHECK((session.run(renga::images(mirrored, {2, 2, 2, 1}, RENGA_F32)) == std::vector<float>{2, 0, 4, 0, 0, 5, 0, 7}));
  renga::Session moved = std::move(session);
  CHECK(moved.memory().activations > 0 && !moved.profile(1).empty());
}

static void training(const std::string &folder) {
  const renga::Dataset train = stripes(24), test = train.take(0, 8);
  CHECK(train.classes() == 2 && test.shape().n == 8 && test.labels(0, 2)[1] == 1 && test.images(0, 1).size() == 64);
  renga::Trainer trainer(small(), "epochs=3,batch=8,learning_rate=0.05", 1);
  int calls = 0;
  try {
    trainer.fit(train, nullptr, {}, [&](const renga_progress &) -> bool {
      if (++calls == 2) throw std::domain_error("from the callback");
      return true;
    });
    CHECK(!"the exception is lost");
  } catch (const std::domain_error &error) {
    CHECK(std::string(error.what()) == "from the callback" && calls == 2);
  }
  CHECK(!trainer.fit(train, nullptr, {}, [](const renga_progress &progress) { return progress.step < 4; }));
  double accuracy = std::nan("");
  CHECK(trainer.fit(train, &test, folder + "/wrapper.checkpoint", [&](const renga_progress &progress) {
    if (progress.epoch_ended) accuracy = progress.test_accuracy;
    return true;
  }));
  const renga::Evaluation evaluation = renga::evaluate(trainer.network(), test, 1);
  CHECK(evaluation.accuracy == accuracy && evaluation.confusion.size() == 4);
  renga::Trainer resumed = renga::Trainer::resume(folder + "/wrapper.checkpoint", 1);
  CHECK(resumed.network().parameter("fc.weight") == trainer.network().parameter("fc.weight"));
  CHECK(status_of([&] { trainer.step(renga::images(train.images(0, 8).data(), {8, 8, 8, 1}), {0, 1}); }) == RENGA_ERROR_SHAPE_MISMATCH);
  CHECK(status_of([&] { renga::Trainer(small(), "nothing=1"); }) == RENGA_ERROR_NOT_FOUND);
  CHECK(trainer.history().find("test_accuracy") != std::string::npos && trainer.memory().weights > 0);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  renga::check_version();
  CHECK(!renga::version().empty() && renga::default_threads() >= 1 && !renga::runtime_info().empty());
  networks(argv[1]);
  sessions();
  training(argv[1]);
  return failures ? 1 : 0;
}
