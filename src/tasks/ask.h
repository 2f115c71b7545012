#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "common.h"

namespace nuri {

struct Answer {
  std::string text;
  std::vector<PictureBox> boxes;  // those that the text names
  int64_t prompt_tokens = 0, completion_tokens = 0;
  std::string finish;  // why it ended: stop, length, stop_string, interrupted
  double load_s = 0, encode_s = 0, prefill_s = 0, decode_s = 0;
};

// Called with each piece of the answer as it is made; a piece never ends inside a character.
using TextCallback = std::function<void(std::string_view)>;

// A model that is open and can be asked. Not for several threads at once.
class Assistant {
 public:
  // `context`: positions a conversation may take; 0: what the model was made for.
  explicit Assistant(const ModelOptions& options, int64_t context = 0);
  ~Assistant();
  Assistant(Assistant&&) noexcept;
  Assistant& operator=(Assistant&&) noexcept;

  // One question, about any number of picture files.
  Answer ask(const std::string& question, const std::vector<std::string>& pictures = {},
             const GenerationOptions& options = {}, const TextCallback& on_text = {}, const PictureLimits& limits = {});

 private:
  friend class Conversation;
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
  Answer say(const std::string& text, const GenerationOptions& options = {}, const TextCallback& on_text = {});
  void reset();
  // The conversation so far: {"messages": [...]}, pictures by their file names.
  std::string json() const;

 private:
  struct State;
  Assistant& assistant_;
  std::unique_ptr<State> state_;
};

// Writes a copy of `picture` with the boxes and their labels drawn (PNG).
void draw_boxes(const std::string& picture, const std::vector<PictureBox>& boxes, const std::string& output,
                const PictureLimits& limits = {});

}  // namespace nuri
