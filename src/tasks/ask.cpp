#include "tasks/ask.h"
#include "models/parts/inputs.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/report.h"
#include "generate/engine.h"
#include "generate/generation_config.h"
#include "generate/text.h"
#include "media/video_file.h"
#include "tasks/model_folder.h"
#include "tasks/pictures.h"
#include "tasks/routing.h"
#include "text/chat_template.h"
#include "text/place_notation.h"
#include "text/unicode.h"

namespace nuri {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

SamplingFlags flags_of(const GenerationOptions& o) {
  SamplingFlags flags;
  flags.greedy = o.greedy;
  flags.temperature = o.temperature, flags.top_p = o.top_p, flags.min_p = o.min_p, flags.top_k = o.top_k;
  flags.repetition_penalty = o.repetition_penalty, flags.presence_penalty = o.presence_penalty;
  flags.frequency_penalty = o.frequency_penalty, flags.max_tokens = o.max_tokens;
  flags.seed = o.seed;
  flags.stop = o.stop;
  return flags;
}

// What the text points at, from the model's own numbers to the picture's pixels. Of a box that reaches beyond the
// picture the part inside; what lies outside is left out.
void read_places(const std::string& text, Place::Unit json_unit, const PictureGeometry& geometry, Answer& answer) {
  auto width = static_cast<double>(geometry.source_width), height = static_cast<double>(geometry.source_height);
  auto to_source = [&](Place::Unit unit, double x, double y) {
    double whole = unit == Place::Unit::thousandths ? 1000 : 1;
    if (unit != Place::Unit::pixels) {
      x *= static_cast<double>(geometry.output_width) / whole;
      y *= static_cast<double>(geometry.output_height) / whole;
    }
    return geometry.to_source({x, y});
  };
  auto across = [&](double x) { return std::clamp(x, 0.0, width); };
  auto down = [&](double y) { return std::clamp(y, 0.0, height); };
  constexpr double kEdge = 1;  // a model may round beyond the last pixel
  for (const Place& found : parse_places(text, json_unit)) {
    auto first = to_source(found.unit, found.x1, found.y1);
    auto last = found.point ? first : to_source(found.unit, found.x2, found.y2);
    if (first.x > width + kEdge || first.y > height + kEdge || last.x < -kEdge || last.y < -kEdge) continue;
    if (found.point)
      answer.points.push_back({found.label, across(first.x), down(first.y)});
    else
      answer.boxes.push_back({found.label, across(first.x), down(first.y), across(last.x), down(last.y)});
  }
}

}  // namespace

struct Assistant::Parts {
  std::filesystem::path folder;
  OpenedModel opened;
  CausalLM* model = nullptr;
  std::unique_ptr<Processor> processor;
  std::optional<ChatTemplate> chat;
  GenerationConfig generation;
  std::unique_ptr<Engine> engine;
  double load_s = 0;
  bool shows_routing = false;

  std::string prompt(const Json& messages) const;
};

Assistant::Assistant(const ModelOptions& options, int64_t context) : parts_(std::make_unique<Parts>()) {
  auto begin = Clock::now();
  Parts& p = *parts_;
  p.folder = find_model(options.model);
  p.processor = open_processor(p.folder);
  p.chat = ChatTemplate::from_folder(p.folder);
  p.generation = read_generation_config(p.folder);
  p.opened = open_model(options);
  p.model = dynamic_cast<CausalLM*>(p.opened.model.get());
  if (p.model == nullptr)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found a model that gives no text, expected one that does", p.folder.string()));
  EngineOptions engine;
  engine.context = context > 0 ? context : p.model->limits().context;
  p.engine = std::make_unique<Engine>(*p.model, engine);
  p.load_s = seconds_since(begin);
}

Assistant::~Assistant() = default;
Assistant::Assistant(Assistant&&) noexcept = default;
Assistant& Assistant::operator=(Assistant&&) noexcept = default;

// The conversation as the model was taught to read it; without a chat template, the plain texts.
std::string Assistant::Parts::prompt(const Json& messages) const {
  if (chat) return chat->render(messages);
  std::string text;
  for (const auto& message : messages)
    for (const auto& part : message.at("content")) {
      if (part.at("type") == "image") text += processor->placeholder() + "\n";
      if (part.at("type") == "video") text += processor->video_placeholder() + "\n";
      if (part.at("type") == "text") text += part.at("text").get<std::string>() + "\n";
    }
  return text;
}

void Assistant::show_routing(bool on) {
  if (on && parts_->model->idle_parameters() == 0)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found a model without experts, expected one that has some (--routing)",
                            parts_->folder.string()));
  parts_->shows_routing = on;
}

Answer Assistant::ask(const std::string& question, const std::vector<std::string>& pictures,
                      const GenerationOptions& options, const TextCallback& on_text, const PictureLimits& limits) {
  Conversation conversation(*this);
  for (const auto& picture : pictures) conversation.add_picture(picture, limits);
  return conversation.say(question, options, on_text);
}

struct Conversation::State {
  Json messages = Json::array();
  Json pending = Json::array();  // pictures that wait for the next text
  std::vector<Image> pictures;
  std::vector<Video> videos;
  std::vector<std::string> picture_files, video_files;

  // What the cache holds of the last prompt and answer.
  std::vector<int64_t> cached_ids;
  size_t prompt_length = 0;
  std::optional<nn::CachedSequence> cached;
  size_t cached_media = 0;

  size_t media() const { return pictures.size() + videos.size(); }

  // How many leading ids of a new prompt the cache already holds: nothing less than the whole last prompt counts, so
  // that pictures are either wholly inside or wholly outside. Where every token may look at what stands in the slots,
  // a further picture changes them all.
  size_t known_prefix(const std::vector<int64_t>& ids, const DecoderInput& input) const {
    if (!cached || ((input.slots || cached->slots()) && cached_media != media())) return 0;
    size_t same = 0, most = std::min({ids.size(), cached_ids.size(), static_cast<size_t>(cached->length())});
    while (same < most && ids[same] == cached_ids[same]) ++same;
    return same >= prompt_length && same < ids.size() ? same : 0;
  }
};

Conversation::Conversation(Assistant& assistant) : assistant_(assistant), state_(std::make_unique<State>()) {}
Conversation::~Conversation() = default;

void Conversation::reset() { *state_ = State(); }

void Conversation::add_picture(const std::string& file, const PictureLimits& limits) {
  assistant_.parts_->processor->pictures();  // refuses at once where the model reads none
  state_->pictures.push_back(std::move(read_pictures({file}, limits).front()));
  state_->picture_files.push_back(file);
  state_->pending.push_back({{"type", "image"}});
}

void Conversation::add_image(const Image& picture, const std::string& name) {
  assistant_.parts_->processor->pictures();
  state_->pictures.push_back(picture);
  state_->picture_files.push_back(name);
  state_->pending.push_back({{"type", "image"}});
}

void Conversation::add_video(const std::string& file, const VideoOptions& options) {
  const Processor& processor = *assistant_.parts_->processor;
  bool watches = !processor.video_placeholder().empty();
  if (!watches) processor.pictures();  // refuses at once where the model reads none either
  FrameChoice choice = processor.frames();
  if (options.frames_per_second) choice.per_second = options.frames_per_second, choice.count.reset();
  if (options.frames) choice.count = options.frames, choice.per_second.reset();
  Video video = VideoFile(file, {options.max_frame_pixels, options.max_seconds, options.max_frames}).choose(choice);
  if (watches) {
    state_->videos.push_back(std::move(video));
    state_->video_files.push_back(file);
    state_->pending.push_back({{"type", "video"}});
    return;
  }
  for (Image& frame : video.frames) {
    state_->pictures.push_back(std::move(frame));
    state_->picture_files.push_back(file);
    state_->pending.push_back({{"type", "image"}});
  }
}

Answer Conversation::say(const std::string& text, const GenerationOptions& options, const TextCallback& on_text) {
  if (valid_utf8(text) != text)
    throw Error(ErrorKind::usage, "the question: found bytes that are not UTF-8, expected UTF-8 text");
  Assistant::Parts& p = *assistant_.parts_;
  State& s = *state_;
  Json content = s.pending;
  content.push_back({{"type", "text"}, {"text", text}});
  Json messages = s.messages;
  messages.push_back({{"role", "user"}, {"content", content}});

  std::string chat = p.prompt(messages);
  bool special = !p.chat || p.processor->adds_special_to_chat();
  std::string bos = p.chat ? p.chat->special_tokens().value("bos_token", std::string()) : "";
  if (!bos.empty() && chat.starts_with(bos)) special = false;
  PreparedPrompt prompt = (*p.processor)(chat, s.pictures, s.videos, special);

  c10::InferenceMode inference;
  Answer answer;
  answer.load_s = p.load_s;
  Request request;
  request.ids.assign(prompt.ids.begin(), prompt.ids.end());
  request.sampling = resolve_sampling(p.generation, flags_of(options), static_cast<int64_t>(request.ids.size()));
  request.eos = p.generation.eos;
  request.keep_cached = true;

  auto begin = Clock::now();
  request.input = std::move(p.model->embed(to_tensors(prompt)).front());
  if (const at::Tensor& first = request.input.ids; first.defined())  // an encoder has read the prompt
    request.ids.assign(first.const_data_ptr<int64_t>(), first.const_data_ptr<int64_t>() + first.numel());
  size_t known = s.known_prefix(request.ids, request.input);
  if (known > 0) {
    request.prefix = std::move(s.cached);
    request.prefix->truncate(static_cast<int64_t>(known));
  }
  s.cached.reset();
  answer.encode_s = seconds_since(begin);

  TextStream stream(p.processor->tokenizer(), request.sampling.stop, /*skip_special=*/true, on_text);
  request.on_token = [&](int64_t id) { return stream.push(id); };
  std::vector<int64_t> prompt_ids = request.ids;
  auto handle = p.engine->submit(std::move(request));
  Tap tap;
  if (p.shows_routing) p.model->show(&tap);
  try {
    p.engine->run_until_done();
  } catch (...) {
    p.model->show(nullptr);
    p.engine->forget(handle);
    throw;
  }
  p.model->show(nullptr);
  Generation done = p.engine->forget(handle);
  stream.finish();
  answer.text = stream.text();
  answer.finish = finish_name(done.finish);
  answer.prompt_tokens = done.prompt_tokens;
  answer.completion_tokens = static_cast<int64_t>(done.ids.size());
  answer.prefill_s = done.prefill_s;
  answer.decode_s = done.decode_s;
  if (!prompt.pictures.geometry.empty()) {
    std::vector<int32_t> ids(done.ids.begin(), done.ids.end());
    read_places(p.processor->tokenizer().decode(ids), p.processor->place_unit(), prompt.pictures.geometry.back(),
                answer);
  }

  if (p.shows_routing) {
    std::vector<int64_t> rows(prompt_ids.begin() + static_cast<std::ptrdiff_t>(known), prompt_ids.end());
    rows.insert(rows.end(), done.ids.begin(), done.ids.end() - !done.ids.empty());  // the last one was not read
    answer.routing =
        routing_json(tap, rows, p.processor->tokenizer()).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  messages.push_back({{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", answer.text}}}}});
  s.messages = std::move(messages);
  s.pending = Json::array();
  s.prompt_length = prompt_ids.size();
  s.cached_ids = std::move(prompt_ids);
  s.cached_ids.insert(s.cached_ids.end(), done.ids.begin(), done.ids.end());
  s.cached = std::move(done.cached);
  s.cached_media = s.media();
  return answer;
}

std::string Conversation::json() const {
  Json messages = state_->messages;
  size_t picture = 0, video = 0;
  for (auto& message : messages)
    for (auto& part : message["content"])
      if (part["type"] == "image")
        part["path"] = state_->picture_files[picture++];
      else if (part["type"] == "video")
        part["path"] = state_->video_files[video++];
  return Json({{"messages", messages}}).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace nuri
