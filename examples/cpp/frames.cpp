// frames.cpp: renga inside a loop over frames that exists already: two sessions, each in its own thread, work on the same frame.
// Usage: frames [NETWORK [FRAMES]]   without a network, one with initial weights is made.
// Not here: a camera; frames are drawn by a function that stands for one.
#include <renga.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using Frame = std::vector<std::uint8_t>; // [1,H,W,C]

// Stands for the camera: a bright square that wanders over a dark field.
void grab(Frame &frame, const renga_shape &shape, int index) {
  for (std::int64_t y = 0; y < shape.h; y++)
    for (std::int64_t x = 0; x < shape.w; x++) {
      const bool inside = (y + index) % shape.h < shape.h / 4 && (x + 2 * index) % shape.w < shape.w / 4;
      for (std::int64_t c = 0; c < shape.c; c++)
        frame[static_cast<std::size_t>((y * shape.w + x) * shape.c + c)] = static_cast<std::uint8_t>(inside ? 220 : 30);
    }
}

// One session with its thread: takes a frame, answers, waits for the next. One thread of the library's own work each.
class Worker {
public:
  Worker(const renga::Network &network, bool fold)
      : session_(network, options(fold)), scores_(renga::count(session_.output_shape())), thread_([this] { work(); }) {}
  ~Worker() {
    give(nullptr);
    thread_.join();
  }
  Worker(const Worker &) = delete;
  Worker &operator=(const Worker &) = delete;

  renga_shape input_shape() const { return session_.input_shape(); }

  void give(const Frame *frame) {
    const std::lock_guard<std::mutex> lock(mutex_);
    frame_ = frame;
    waiting_ = true;
    changed_.notify_all();
  }

  // The scores of the frame given last. Throws what the session threw.
  const std::vector<float> &answer() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !waiting_; });
    if (thrown_) std::rethrow_exception(thrown_);
    return scores_;
  }

private:
  static renga_session_options options(bool fold) {
    renga_session_options options = renga::session_options();
    options.threads = 1;
    options.fold_batch_norm = fold;
    return options;
  }

  void work() {
    const renga_shape shape = session_.input_shape();
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return waiting_; });
      if (!frame_) return;
      try {
        session_.run(renga::images(frame_->data(), shape), scores_.data(), scores_.size());
      } catch (...) {
        thrown_ = std::current_exception();
      }
      waiting_ = false;
      changed_.notify_all();
    }
  }

  renga::Session session_;
  std::vector<float> scores_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const Frame *frame_ = nullptr;
  bool waiting_ = false;
  std::exception_ptr thrown_;
  std::thread thread_; // last: it uses all of the above
};

std::size_t largest(const std::vector<float> &scores) {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

int run(int argc, char **argv) {
  renga::check_version();
  const renga::Network network =
      argc > 1 ? renga::Network::load(argv[1]) : renga::Network::create("resnet", "depth=8,classes=10,input=32x32x3", 1);
  const int frames = argc > 2 ? std::atoi(argv[2]) : 30;

  Worker folded(network, true), plain(network, false);
  Frame frame(renga::count(folded.input_shape()));
  double largest_difference = 0;
  int agreed = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int index = 0; index < frames; index++) { // the loop that was there before
    grab(frame, folded.input_shape(), index);
    folded.give(&frame);
    plain.give(&frame);
    const std::vector<float> &a = folded.answer(), &b = plain.answer();
    agreed += largest(a) == largest(b);
    for (std::size_t i = 0; i < a.size(); i++)
      largest_difference = std::max(largest_difference, static_cast<double>(a[i] < b[i] ? b[i] - a[i] : a[i] - b[i]));
  }
  const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - begin;
  std::printf("%d frames, two sessions each: %.3f ms a frame; the sessions agreed on %d, largest difference %.2g\n", frames,
              elapsed.count() / std::max(frames, 1), agreed, largest_difference);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  try {
    return run(argc, argv);
  } catch (const renga::Error &error) {
    std::fprintf(stderr, "frames: %s (%s)\n", error.what(), renga_status_name(error.status()));
  } catch (const std::exception &error) {
    std::fprintf(stderr, "frames: %s\n", error.what());
  }
  return 1;
}
