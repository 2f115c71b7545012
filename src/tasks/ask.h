#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "common.h"
#include "speculate.h"

namespace nuri {

// A stretch of a video that an answer names, in seconds of the file as the user gave it, from its first frame; of one
// time, both are the same.
struct VideoMoment {
  std::string label;
  double start_s = 0, end_s = 0;
};

struct Answer {
  std::string text;
  // What the model points at, in the last picture. `text` leaves special tokens out, in which some models write places.
  std::vector<PictureBox> boxes;
  std::vector<PicturePoint> points;
  std::vector<VideoMoment> moments;  // that it names in the last video, of a model that watches videos
  std::string routing;               // JSON, where it was asked for: see Assistant::show_routing
  int64_t prompt_tokens = 0, completion_tokens = 0;
  int64_t reused_tokens = 0;  // of the prompt, what the cache held already
  std::string finish;         // why it ended: stop, length, stop_string, interrupted
  double load_s = 0, encode_s = 0, prefill_s = 0, decode_s = 0;
  SpeculationCounts speculation;
};

struct Image;  // media/image.h

// Called with each piece of the answer as it is made; a piece never ends inside a character.
using TextCallback = std::function<void(std::string_view)>;

// A model that is open and can be asked. Not for several threads at once.
class Assistant {
 public:
  // Throws Error(resource), with the arithmetic, for a context that memory cannot hold.
  explicit Assistant(const ModelOptions& options);
  ~Assistant();
  Assistant(Assistant&&) noexcept;
  Assistant& operator=(Assistant&&) noexcept;

  // Whether the model is given a video as such, with its times; else as pictures.
  bool watches_videos() const;

  // How answers are made sooner; without this, as by SpeculationOptions(). Opens the draft. Throws Error(usage) for
  // options that there are not, and for a draft with other tokens.
  void speculate(const SpeculationOptions& options);

  // Whether answers tell which experts worked on which token. Throws Error(unsupported) for a model without experts.
  void show_routing(bool on);

  // One question, about any number of picture files.
  Answer ask(const std::string& question, const std::vector<std::string>& pictures = {},
             const GenerationOptions& options = {}, const TextCallback& on_text = {}, const PictureLimits& limits = {});

 private:
  friend class Conversation;
  friend class Weigher;   // of explain
  friend class Compared;  // of compare
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// A conversation with an assistant, which must outlive it. What was said before is computed once.
class Conversation {
 public:
  explicit Conversation(Assistant& assistant);
  ~Conversation();

  // The picture comes in front of what is said next. Throws Error(usage) when the file is none.
  void add_picture(const std::string& file, const PictureLimits& limits = {});
  // The same of a picture in memory (RGB), which json() calls by that name.
  void add_image(const Image& picture, const std::string& name);
  // The same of a video. A model that watches none is given its frames as pictures.
  void add_video(const std::string& file, const VideoOptions& options = {});
  Answer say(const std::string& text, const GenerationOptions& options = {}, const TextCallback& on_text = {});
  void reset();
  // The conversation so far: {"messages": [...]}, pictures by their file names.
  std::string json() const;

 private:
  friend class Weigher;  // of explain
  struct State;
  Assistant& assistant_;
  std::unique_ptr<State> state_;
};

// Writes a copy of `picture` with the answer's boxes and points drawn, and their labels (PNG).
void draw_places(const std::string& picture, const Answer& answer, const std::string& output,
                 const PictureLimits& limits = {});

}  // namespace nuri
