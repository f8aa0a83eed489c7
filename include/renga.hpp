/*
 * renga.hpp: C++17 over renga.h: handles that free themselves, errors as exceptions, text as std::string.
 * Header only: nothing of the standard library crosses the library's border. Not here: anything that renga.h cannot do, and shapes,
 * units and thread rules, which renga.h documents function by function.
 *
 *   Ownership  Network, Builder, Session, Dataset, Trainer are movable, not copyable (Network has clone). A moved-from object may only be
 *              assigned to or destroyed. get() lends the C handle.
 *   Errors     Every failure throws renga::Error with the status and the sentence.
 */
#ifndef RENGA_HPP
#define RENGA_HPP

#include "renga.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace renga {

/* A failed call: what() is the library's sentence. */
class Error : public std::runtime_error {
public:
  Error(renga_status status, const char *message) : std::runtime_error(message), status_(status) {}
  renga_status status() const noexcept { return status_; }

private:
  renga_status status_;
};

namespace detail {

inline void check(renga_status status) {
  if (status != RENGA_OK) throw Error(status, renga_last_error());
}

struct Free {
  void operator()(renga_network *handle) const noexcept { renga_network_free(handle); }
  void operator()(renga_builder *handle) const noexcept { renga_builder_free(handle); }
  void operator()(renga_session *handle) const noexcept { renga_session_free(handle); }
  void operator()(renga_dataset *handle) const noexcept { renga_dataset_free(handle); }
  void operator()(renga_trainer *handle) const noexcept { renga_trainer_free(handle); }
  void operator()(char *text) const noexcept { renga_text_free(text); }
};

template <class Type> using Owned = std::unique_ptr<Type, Free>;

/* Calls `function(arguments…, &out)` and owns what it made. */
template <class Type, class Function, class... Arguments> Owned<Type> make(Function function, Arguments... arguments) {
  Type *out = nullptr;
  check(function(arguments..., &out));
  return Owned<Type>(out);
}

/* The same for text. */
template <class Function, class... Arguments> std::string text(Function function, Arguments... arguments) {
  const Owned<char> out = make<char>(function, arguments...);
  return out ? std::string(out.get()) : std::string();
}

inline const char *or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

} // namespace detail

/* Elements of a batch of that shape. */
inline std::size_t count(const renga_shape &shape) {
  return static_cast<std::size_t>(shape.n) * static_cast<std::size_t>(shape.h) * static_cast<std::size_t>(shape.w) *
         static_cast<std::size_t>(shape.c);
}

/* ---- Version and machine ---- */

/* Throws where this header and the library do not fit. */
inline void check_version() { detail::check(renga_version_check(RENGA_VERSION_NUMBER)); }
inline std::string version() { return renga_version(); }
inline std::string runtime_info() { return detail::text(renga_runtime_info); }
inline std::string machine_peaks(int threads = 0) { return detail::text(renga_machine_peaks, static_cast<std::int32_t>(threads)); }
inline std::string architectures() { return detail::text(renga_architectures); }
inline std::string operators() { return detail::text(renga_operators); }
inline std::string recipes() { return detail::text(renga_recipes); }
inline int default_threads() { return renga_default_threads(); }

/* ---- Images of the caller, borrowed ---- */

inline renga_source images(const float *data, renga_shape shape, renga_layout layout = RENGA_NHWC) {
  return {data, shape, RENGA_F32, static_cast<std::int32_t>(layout)};
}
inline renga_source images(const std::uint8_t *data, renga_shape shape, renga_layout layout = RENGA_NHWC) {
  return {data, shape, RENGA_U8, static_cast<std::int32_t>(layout)};
}
/* Images that are not dense, by bytes from one image, row, column and channel to the next. */
inline renga_strided strided(const void *data, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  renga_strided view;
  renga_strided_init(&view, sizeof view);
  view.data = data, view.n = n, view.h = h, view.w = w, view.c = c;
  return view;
}
/* Borrows the view as well: it must live as long as what this returns. */
inline renga_source images(const renga_strided &view, renga_shape shape, renga_element element) {
  return {&view, shape, static_cast<std::int32_t>(element), RENGA_STRIDED};
}
inline renga_source images(const renga_strided &&view, renga_shape shape, renga_element element) = delete;

/* ---- Network ---- */

class Network {
public:
  struct Parameter {
    std::string name;
    std::vector<std::int64_t> dimensions; /* slowest first */
    std::size_t count() const {
      std::size_t product = 1;
      for (const std::int64_t extent : dimensions) product *= static_cast<std::size_t>(extent);
      return product;
    }
  };

  /* Takes over a handle. */
  explicit Network(renga_network *handle) : handle_(handle) {}

  static Network create(const std::string &architecture, const std::string &options = {}, std::uint64_t seed = 0) {
    return Network(detail::make<renga_network>(renga_network_create, architecture.c_str(), detail::or_null(options), seed));
  }
  static Network load(const std::string &path) { return Network(detail::make<renga_network>(renga_network_load, path.c_str())); }
  static Network load(const void *data, std::size_t size) {
    return Network(detail::make<renga_network>(renga_network_load_memory, data, size));
  }

  void save(const std::string &path) const { detail::check(renga_network_save(get(), path.c_str())); }
  Network clone() const { return Network(detail::make<renga_network>(renga_network_clone, get())); }

  renga_network_info info() const {
    renga_network_info info;
    renga_network_info_init(&info, sizeof info);
    detail::check(renga_network_get_info(get(), &info));
    return info;
  }
  std::string describe(renga_description form = RENGA_DESCRIPTION_TEXT) const {
    return detail::text(renga_network_describe, get(), static_cast<std::int32_t>(form));
  }

  std::vector<Parameter> parameters() const {
    std::int64_t count = 0;
    detail::check(renga_network_parameter_count(get(), &count));
    std::vector<Parameter> list;
    for (std::int64_t index = 0; index < count; index++) {
      const char *name = nullptr;
      std::int64_t dimensions[RENGA_MAX_RANK];
      std::int32_t rank = 0;
      detail::check(renga_network_parameter_info(get(), index, &name, dimensions, &rank));
      list.push_back({name, {dimensions, dimensions + rank}});
    }
    return list;
  }
  std::vector<float> parameter(const std::string &name) const {
    std::vector<float> values;
    for (const Parameter &candidate : parameters())
      if (candidate.name == name) values.resize(candidate.count());
    /* An unknown name is refused by the library, in its own words. */
    detail::check(renga_network_get_parameter(get(), name.c_str(), values.data(), values.size()));
    return values;
  }
  void set_parameter(const std::string &name, const std::vector<float> &values) {
    detail::check(renga_network_set_parameter(get(), name.c_str(), values.data(), values.size()));
  }

  std::optional<std::string> metadata(const std::string &key) const {
    const auto value = detail::make<char>(renga_network_get_metadata, static_cast<const renga_network *>(get()), key.c_str());
    if (!value) return std::nullopt;
    return std::string(value.get());
  }
  void set_metadata(const std::string &key, const std::string &value) {
    detail::check(renga_network_set_metadata(get(), key.c_str(), value.c_str()));
  }
  /* Of u8 images: (pixel - mean[c]) * scale[c]; two empty vectors for none. */
  void set_normalization(const std::vector<float> &mean, const std::vector<float> &scale) {
    if (mean.size() != scale.size()) throw Error(RENGA_ERROR_SHAPE_MISMATCH, "means must be as many as scales");
    const bool is_none = mean.empty();
    detail::check(renga_network_set_normalization(get(), is_none ? nullptr : mean.data(), is_none ? nullptr : scale.data(), mean.size()));
  }
  void remove_metadata(const std::string &key) { detail::check(renga_network_set_metadata(get(), key.c_str(), nullptr)); }

  /* report: nullptr, or where to put what was done, as JSON. */
  Network fold_batch_norm(std::string *report = nullptr) const {
    renga_network *folded = nullptr;
    char *words = nullptr;
    detail::check(renga_network_fold_batch_norm(get(), &folded, report ? &words : nullptr));
    const detail::Owned<char> owned(words);
    Network network(folded);
    if (report) *report = words ? words : "";
    return network;
  }

  /* options: as renga_network_import_onnx takes them. report: nullptr, or where to put it, which is done also where nodes are refused. */
  static Network import_onnx(const std::string &path, const std::string &options = {}, std::string *report = nullptr) {
    return imported(report, [&](renga_network **out, char **words) {
      return renga_network_import_onnx(path.c_str(), detail::or_null(options), out, words);
    });
  }
  static Network import_onnx(const void *data, std::size_t size, const std::string &options = {}, std::string *report = nullptr) {
    return imported(report, [&](renga_network **out, char **words) {
      return renga_network_import_onnx_memory(data, size, detail::or_null(options), out, words);
    });
  }

  /* names: "" (ours), "pytorch", "torchvision" or a table; see renga_network_load_weights. */
  void load_weights(const std::string &path, const std::string &names = {}) {
    detail::check(renga_network_load_weights(get(), path.c_str(), detail::or_null(names)));
  }
  void save_weights(const std::string &path, const std::string &names = {}) const {
    detail::check(renga_network_save_weights(get(), path.c_str(), detail::or_null(names)));
  }

  /* options: "opset=17,fold_batch_norm=no,dynamic_size=no"; see renga_network_export_onnx. */
  void export_onnx(const std::string &path, const std::string &options = {}) const {
    detail::check(renga_network_export_onnx(get(), path.c_str(), detail::or_null(options)));
  }

  renga_network *get() const noexcept { return handle_.get(); }

private:
  template <typename Import> static Network imported(std::string *report, Import import) {
    renga_network *made = nullptr;
    char *words = nullptr;
    const renga_status status = import(&made, report ? &words : nullptr);
    const detail::Owned<char> owned(words);
    if (report) *report = words ? words : "";
    detail::check(status);
    return Network(made);
  }

  explicit Network(detail::Owned<renga_network> handle) : handle_(std::move(handle)) {}
  detail::Owned<renga_network> handle_;
};

/* ---- Builder ---- */

class Builder {
public:
  /* The number of a value: an input or a layer's output. */
  using Value = std::int32_t;

  Builder() : handle_(detail::make<renga_builder>(renga_builder_create)) {}

  Value input(std::int64_t h, std::int64_t w, std::int64_t c, const std::string &name = {}) {
    Value value = -1;
    detail::check(renga_builder_add_input(get(), detail::or_null(name), h, w, c, &value));
    return value;
  }
  Value layer(const std::string &op, const std::string &attributes, const std::vector<Value> &inputs, const std::string &name = {}) {
    Value value = -1;
    detail::check(renga_builder_add_layer(get(), op.c_str(), detail::or_null(attributes), detail::or_null(name), inputs.data(),
                                          inputs.size(), &value));
    return value;
  }
  renga_shape shape(Value value) const {
    renga_shape shape;
    detail::check(renga_builder_shape(get(), value, &shape));
    return shape;
  }
  /* initialization: "he_fan_in" where empty. */
  Network finish(const std::vector<Value> &outputs, const std::string &initialization = {}, std::uint64_t seed = 0) const {
    renga_network *network = nullptr;
    detail::check(renga_builder_finish(get(), outputs.data(), outputs.size(), detail::or_null(initialization), seed, &network));
    return Network(network);
  }

  renga_builder *get() const noexcept { return handle_.get(); }

private:
  detail::Owned<renga_builder> handle_;
};

/* ---- Session ---- */

/* The library's defaults, to be changed field by field. */
inline renga_session_options session_options() {
  renga_session_options options;
  renga_session_options_init(&options, sizeof options);
  return options;
}

class Session {
public:
  explicit Session(const Network &network, const renga_session_options &options = session_options())
      : handle_(detail::make<renga_session>(renga_session_create, static_cast<const renga_network *>(network.get()), &options)) {}
  /* Straight from a network's file. */
  static Session load(const std::string &path, const renga_session_options &options = session_options()) {
    return Session(detail::make<renga_session>(renga_session_load, path.c_str(), &options));
  }

  renga_shape input_shape(int index = 0) const {
    renga_shape shape;
    detail::check(renga_session_input_shape(get(), index, &shape));
    return shape;
  }
  renga_shape output_shape(int index = 0) const {
    renga_shape shape;
    detail::check(renga_session_output_shape(get(), index, &shape));
    return shape;
  }

  /* Into memory of the caller: no allocation. */
  void run(const renga_source &src, float *dst, std::size_t dst_count, renga_layout dst_layout = RENGA_NHWC) {
    detail::check(renga_session_run(get(), &src, dst, dst_count, static_cast<std::int32_t>(dst_layout)));
  }
  /* Into a vector of its own. */
  std::vector<float> run(const renga_source &src, renga_layout dst_layout = RENGA_NHWC) {
    renga_shape shape = output_shape();
    shape.n = std::min(std::max<std::int64_t>(src.shape.n, 0), shape.n);
    std::vector<float> dst(count(shape));
    run(src, dst.data(), dst.size(), dst_layout);
    return dst;
  }
  /* Any number of inputs and outputs; dst[i] holds dst_count[i] floats. */
  void run(const std::vector<renga_source> &src, const std::vector<float *> &dst, const std::vector<std::size_t> &dst_count,
           renga_layout dst_layout = RENGA_NHWC) {
    if (dst.size() != dst_count.size()) throw Error(RENGA_ERROR_SHAPE_MISMATCH, "dst and dst_count differ in length");
    detail::check(renga_session_run_many(get(), src.data(), src.size(), dst.data(), dst_count.data(), dst.size(),
                                         static_cast<std::int32_t>(dst_layout)));
  }

  renga_memory memory() const {
    renga_memory memory;
    renga_memory_init(&memory, sizeof memory);
    detail::check(renga_session_memory(get(), &memory));
    return memory;
  }
  std::string profile(int runs = 10) { return detail::text(renga_session_profile, get(), static_cast<std::int32_t>(runs)); }

  renga_session *get() const noexcept { return handle_.get(); }

private:
  explicit Session(detail::Owned<renga_session> handle) : handle_(std::move(handle)) {}
  detail::Owned<renga_session> handle_;
};

/* ---- Dataset ---- */

class Dataset {
public:
  explicit Dataset(renga_dataset *handle) : handle_(handle) {}
  /* Copies images and labels; labels.size() must be the number of images. */
  Dataset(const renga_source &images, const std::vector<std::int32_t> &labels, int classes) {
    if (images.shape.n < 0 || labels.size() != static_cast<std::size_t>(images.shape.n))
      throw Error(RENGA_ERROR_SHAPE_MISMATCH, "labels must be as many as images");
    handle_ = detail::make<renga_dataset>(renga_dataset_create, &images, labels.data(), static_cast<std::int32_t>(classes));
  }
  static Dataset open(const std::string &path, const std::string &part) {
    return Dataset(detail::make<renga_dataset>(renga_dataset_open, path.c_str(), part.c_str()).release());
  }
  static Dataset open_idx(const std::string &images_path, const std::string &labels_path) {
    return Dataset(detail::make<renga_dataset>(renga_dataset_open_idx, images_path.c_str(), labels_path.c_str()).release());
  }

  Dataset take(std::int64_t begin, std::int64_t count) const {
    return Dataset(detail::make<renga_dataset>(renga_dataset_take, static_cast<const renga_dataset *>(get()), begin, count).release());
  }
  renga_shape shape() const {
    renga_shape shape;
    detail::check(renga_dataset_info(get(), &shape, nullptr));
    return shape;
  }
  int classes() const {
    std::int32_t classes = 0;
    detail::check(renga_dataset_info(get(), nullptr, &classes));
    return classes;
  }
  std::vector<float> images(std::int64_t begin, std::int64_t count) const {
    renga_shape extents = shape();
    extents.n = std::min(std::max<std::int64_t>(count, 0), extents.n);
    std::vector<float> images(renga::count(extents));
    detail::check(renga_dataset_get(get(), begin, count, images.data(), images.size(), nullptr, 0));
    return images;
  }
  std::vector<std::int32_t> labels(std::int64_t begin, std::int64_t count) const {
    std::vector<std::int32_t> labels(static_cast<std::size_t>(std::min(std::max<std::int64_t>(count, 0), shape().n)));
    detail::check(renga_dataset_get(get(), begin, count, nullptr, 0, labels.data(), labels.size()));
    return labels;
  }
  std::string class_name(int label) const {
    const char *name = nullptr;
    detail::check(renga_dataset_class_name(get(), label, &name));
    return name;
  }

  renga_dataset *get() const noexcept { return handle_.get(); }

private:
  detail::Owned<renga_dataset> handle_;
};

/* ---- Trainer ---- */

class Trainer {
public:
  /* Gets each step's progress; returns true to go on, false to stop after this step. */
  using Progress = std::function<bool(const renga_progress &)>;

  explicit Trainer(const Network &network, const std::string &recipe = {}, int threads = 0)
      : handle_(detail::make<renga_trainer>(renga_trainer_create, static_cast<const renga_network *>(network.get()),
                                            detail::or_null(recipe), static_cast<std::int32_t>(threads))) {}
  /* With all options, which renga_trainer_options_init prepared. */
  Trainer(const Network &network, const std::string &recipe, const renga_trainer_options &options)
      : handle_(detail::make<renga_trainer>(renga_trainer_create_with, static_cast<const renga_network *>(network.get()),
                                            detail::or_null(recipe), &options)) {}
  static Trainer resume(const std::string &path, const renga_trainer_options &options) {
    return Trainer(detail::make<renga_trainer>(renga_trainer_resume_with, path.c_str(), &options));
  }
  static Trainer resume(const std::string &path, int threads = 0) {
    return Trainer(detail::make<renga_trainer>(renga_trainer_resume, path.c_str(), static_cast<std::int32_t>(threads)));
  }

  /* True when the recipe's end was reached, false when `progress` stopped it; call again to go on. test: nullptr or a set to evaluate
   * after each epoch. An exception that leaves `progress` stops the run and is thrown again here. */
  bool fit(const Dataset &train, const Dataset *test = nullptr, const std::string &checkpoint = {}, const Progress &progress = {}) {
    Call call{&progress, nullptr};
    const renga_status status = renga_trainer_fit(get(), train.get(), test ? test->get() : nullptr, detail::or_null(checkpoint),
                                                  progress ? &Trainer::forward : nullptr, &call);
    if (call.thrown) std::rethrow_exception(call.thrown);
    if (status == RENGA_CANCELLED) return false;
    detail::check(status);
    return true;
  }

  struct Step {
    double loss;          /* mean over the batch */
    std::int64_t correct; /* right answers in it */
  };
  Step step(const renga_source &src, const std::vector<std::int32_t> &labels) {
    if (src.shape.n < 0 || labels.size() != static_cast<std::size_t>(src.shape.n))
      throw Error(RENGA_ERROR_SHAPE_MISMATCH, "labels must be as many as images");
    Step step{};
    detail::check(renga_trainer_step(get(), &src, labels.data(), &step.loss, &step.correct));
    return step;
  }

  Network network() const {
    renga_network *network = nullptr;
    detail::check(renga_trainer_network(get(), &network));
    return Network(network);
  }
  std::string history() const { return detail::text(renga_trainer_history, get()); }
  std::string gates() const { return detail::text(renga_trainer_gates, get()); }
  /* nullptr: all gates are drawn again. */
  void force_gates(const char *gates) { detail::check(renga_trainer_force_gates(get(), gates)); }
  std::string profile(int runs = 10) const { return detail::text(renga_trainer_profile, get(), static_cast<std::int32_t>(runs)); }
  renga_memory memory() const {
    renga_memory memory;
    renga_memory_init(&memory, sizeof memory);
    detail::check(renga_trainer_memory(get(), &memory));
    return memory;
  }
  void save(const std::string &path) const { detail::check(renga_trainer_save(get(), path.c_str())); }

  renga_trainer *get() const noexcept { return handle_.get(); }

private:
  explicit Trainer(detail::Owned<renga_trainer> handle) : handle_(std::move(handle)) {}

  struct Call {
    const Progress *progress;
    std::exception_ptr thrown;
  };
  /* C calls this: no exception may pass. A library of another version may know fewer fields. */
  static std::int32_t forward(const renga_progress *progress, void *user_data) noexcept {
    Call *call = static_cast<Call *>(user_data);
    renga_progress known{};
    std::memcpy(&known, progress, std::min(progress->size, sizeof known));
    try {
      return (*call->progress)(known) ? 0 : 1;
    } catch (...) {
      call->thrown = std::current_exception();
      return 1;
    }
  }

  detail::Owned<renga_trainer> handle_;
};

struct Evaluation {
  double accuracy; /* 0 … 1 */
  double loss;     /* mean cross-entropy */
  std::vector<std::int64_t> confusion; /* [classes,classes], row = label, column = answer */
};
inline Evaluation evaluate(const Network &network, const Dataset &dataset, int threads = 0,
                           renga_precision precision = RENGA_PRECISION_F32) {
  const std::size_t classes = static_cast<std::size_t>(network.info().output_shape.c);
  Evaluation result{0, 0, std::vector<std::int64_t>(classes * classes)};
  detail::check(renga_evaluate_in(network.get(), dataset.get(), precision, threads, &result.accuracy, &result.loss,
                                  result.confusion.data(), result.confusion.size()));
  return result;
}

} // namespace renga

#endif
