#include "tasks/ask.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>

#include "base/error.h"
#include "base/report.h"
#include "generate/prompt_lookup.h"
#include "generate/text.h"
#include "media/video_file.h"
#include "models/parts/inputs.h"
#include "tasks/chat_prompt.h"
#include "tasks/conversation.h"
#include "tasks/pictures.h"
#include "tasks/routing.h"
#include "text/moment_notation.h"
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

// The moments that the text names, inside a video of that length in seconds.
std::vector<VideoMoment> read_moments(const std::string& text, const Video& video, double length) {
  std::vector<VideoMoment> moments;
  if (video.seconds.empty()) return moments;
  auto to_source = [&](Moment::Unit unit, double time) {
    if (unit == Moment::Unit::seconds) return std::clamp(time, 0.0, std::max(length, video.seconds.back()));
    auto last = static_cast<double>(video.seconds.size() - 1);
    return video.seconds[static_cast<size_t>(std::clamp(std::round(time) - 1, 0.0, last))];
  };
  for (const Moment& found : parse_moments(text))
    moments.push_back({found.label, to_source(found.unit, found.start), to_source(found.unit, found.end)});
  return moments;
}

// How it ended, and what it took.
void tell_work(const Generation& done, Answer& answer) {
  answer.finish = finish_name(done.finish);
  answer.prompt_tokens = done.prompt_tokens;
  answer.reused_tokens = done.reused_tokens;
  answer.completion_tokens = static_cast<int64_t>(done.ids.size());
  answer.prefill_s = done.prefill_s;
  answer.decode_s = done.decode_s;
  answer.speculation = {done.steps, done.proposed, done.accepted};
}

// Of what was read of the prompt, and of the answer but for its last token, which was not read.
std::string told_routing(const Tap& tap, std::span<const int64_t> read, const std::vector<int64_t>& made,
                         const Tokenizer& tokenizer) {
  std::vector<int64_t> rows(read.begin(), read.end());
  rows.insert(rows.end(), made.begin(), made.end() - !made.empty());
  return routing_json(tap, rows, tokenizer).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Room for the whole context is asked for where one was named; else it is as much as memory has.
EngineOptions engine_options(const ModelOptions& options) {
  constexpr int64_t kMostContext = int64_t{1} << 34;
  if (options.context < 0 || options.context > kMostContext)
    throw Error(ErrorKind::usage, fmt::format("--context: found {}, expected 1 to {}", options.context, kMostContext));
  EngineOptions engine;
  engine.context = engine.cache_positions = options.context;
  engine.cache = cache_type(options);
  return engine;
}

}  // namespace

Assistant::Assistant(const ModelOptions& options) : parts_(std::make_unique<Parts>()) {
  auto begin = Clock::now();
  EngineOptions engine = engine_options(options);
  Parts& p = *parts_;
  p.options = options;
  p.folder = find_model(options.model);
  p.processor = open_processor(p.folder);
  p.chat = ChatTemplate::from_folder(p.folder);
  p.generation = read_generation_config(p.folder);
  p.opened = open_model(options);
  p.model = dynamic_cast<CausalLM*>(p.opened.model.get());
  if (p.model == nullptr)
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found a model that gives no text, expected one that does", p.folder.string()));
  p.engine = std::make_unique<Engine>(*p.model, engine);
  p.settle_speculation();
  p.load_s = seconds_since(begin);
}

Assistant::~Assistant() = default;
Assistant::Assistant(Assistant&&) noexcept = default;
Assistant& Assistant::operator=(Assistant&&) noexcept = default;

std::string Assistant::Parts::prompt(const Json& messages) const { return chat_text(messages, chat, *processor); }

bool Assistant::watches_videos() const { return !parts_->processor->video_placeholder().empty(); }

PreparedPrompt Assistant::Parts::prepared(const std::string& prompt, std::span<const Image> pictures,
                                          std::span<const Video> videos) const {
  return prepare_chat(prompt, chat, *processor, pictures, videos);
}

Request Assistant::Parts::request(PreparedPrompt& prompt, const GenerationOptions& options) {
  Request request;
  request.ids.assign(prompt.ids.begin(), prompt.ids.end());
  request.sampling = resolve_sampling(generation, flags_of(options), static_cast<int64_t>(request.ids.size()));
  request.eos = generation.eos;
  request.keep_cached = true;
  request.input = std::move(model->embed(take_tensors(prompt)).front());
  if (const at::Tensor& first = request.input.ids; first.defined())  // an encoder has read the prompt
    request.ids.assign(first.const_data_ptr<int64_t>(), first.const_data_ptr<int64_t>() + first.numel());
  return request;
}

// Where every expert works on every token none is idle: one token tells.
bool Assistant::Parts::has_experts() const {
  if (model->idle_parameters() > 0) return true;
  c10::InferenceMode inference;
  Tap tap;
  model->show(&tap);
  try {
    Request request;
    request.ids = {0};
    request.sampling.max_tokens = 1;
    auto handle = engine->submit(std::move(request));
    engine->run_until_done();
    engine->forget(handle);
  } catch (const Error&) {  // of a model that reads no text without a picture
  }
  model->show(nullptr);
  return !tap.routing.empty();
}

void Assistant::speculate(const SpeculationOptions& options) {
  check_speculation(options);
  Parts& p = *parts_;
  auto begin = Clock::now();
  p.engine->speculate(nullptr);
  p.draft.reset();
  if (!options.draft.empty()) {
    p.draft = std::make_unique<Draft>(options.draft, p.options);
    p.draft->expect_tokens(p.processor->tokenizer(), p.folder.string());
  }
  p.speculation = options;
  p.settle_speculation();
  p.load_s += seconds_since(begin);
}

// Experts are shown as they work on the tokens of the answer: on no others then.
void Assistant::Parts::settle_speculation() {
  std::unique_ptr<Proposer> proposer;
  if (!shows_routing && draft) {
    proposer = draft->proposer(*model, engine->context());
  } else if (!shows_routing && speculation.asked()) {
    proposer = std::make_unique<PromptLookup>();
  }
  engine->speculate(std::move(proposer));
}

void Assistant::show_routing(bool on) {
  if (on && !parts_->has_experts())
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: found a model without experts, expected one that has some (--routing)",
                            parts_->folder.string()));
  parts_->shows_routing = on;
  parts_->settle_speculation();
}

Answer Assistant::ask(const std::string& question, const std::vector<std::string>& pictures,
                      const GenerationOptions& options, const TextCallback& on_text, const PictureLimits& limits) {
  Conversation conversation(*this);
  for (const auto& picture : pictures) conversation.add_picture(picture, limits);
  return conversation.say(question, options, on_text);
}

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
  bool watches = assistant_.watches_videos();
  if (!watches) processor.pictures();  // refuses at once where the model reads none either
  FrameChoice choice = processor.frames();
  if (options.frames_per_second) choice.per_second = options.frames_per_second, choice.count.reset();
  if (options.frames) choice.count = options.frames, choice.per_second.reset();
  VideoFile opened(file, {options.max_frame_pixels, options.max_seconds, options.max_frames});
  Video video = opened.choose(choice);
  if (watches) {
    state_->video_lengths.push_back(opened.info().seconds);
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

Generation Assistant::Parts::run(Request request, Tap& tap) {
  struct Shown {
    CausalLM& model;
    ~Shown() { model.show(nullptr); }
  } shown{*model};
  if (shows_routing) model->show(&tap);
  auto handle = engine->submit(std::move(request));
  try {
    engine->run_until_done();
  } catch (...) {
    engine->forget(handle);
    throw;
  }
  return engine->forget(handle);
}

void Conversation::State::take_known(Request& request) {
  size_t known = known_prefix(request.ids, request.input);
  if (known > 0) {
    request.prefix = std::move(cached);
    request.prefix->truncate(static_cast<int64_t>(known));
  }
  cached.reset();
}

void Conversation::State::remember(std::vector<int64_t> prompt_ids, Generation& done) {
  pending = Json::array();
  answer = done.ids;
  prompt_length = prompt_ids.size();
  cached_ids = std::move(prompt_ids);
  cached_ids.insert(cached_ids.end(), done.ids.begin(), done.ids.end());
  cached = std::move(done.cached);
  cached_media = media();
}

Answer Conversation::say(const std::string& text, const GenerationOptions& options, const TextCallback& on_text) {
  if (valid_utf8(text) != text)
    throw Error(ErrorKind::usage, "the question: found bytes that are not UTF-8, expected UTF-8 text");
  Assistant::Parts& p = *assistant_.parts_;
  State& s = *state_;
  Json messages = s.messages, content = s.pending;
  content.push_back({{"type", "text"}, {"text", text}});
  messages.push_back({{"role", "user"}, {"content", content}});
  std::string chat = p.prompt(messages);
  PreparedPrompt prompt = p.prepared(chat, s.pictures, s.videos);

  c10::InferenceMode inference;
  auto begin = Clock::now();
  Request request = p.request(prompt, options);
  if (p.draft) request.draft = p.draft->prompt(messages, s.pictures, s.videos);
  s.take_known(request);
  request.shares = !p.shows_routing;  // which tells of what is computed
  Answer answer;
  answer.load_s = p.load_s, answer.encode_s = seconds_since(begin);
  TextStream stream(p.processor->tokenizer(), request.sampling.stop, /*skip_special=*/true, on_text);
  request.on_token = [&](int64_t id) { return stream.push(id); };
  std::vector<int64_t> prompt_ids = request.ids;
  Tap tap;
  Generation done = p.run(std::move(request), tap);
  stream.finish();
  answer.text = stream.text();
  tell_work(done, answer);
  // With special tokens, in which some models write places.
  std::string whole = p.processor->tokenizer().decode(std::vector<int32_t>(done.ids.begin(), done.ids.end()));
  if (!prompt.pictures.geometry.empty())
    read_places(whole, p.processor->place_unit(), prompt.pictures.geometry.back(), answer);
  if (!s.videos.empty()) answer.moments = read_moments(whole, s.videos.back(), s.video_lengths.back());
  if (p.shows_routing)
    answer.routing = told_routing(tap, std::span(prompt_ids).subspan(static_cast<size_t>(done.reused_tokens)), done.ids,
                                  p.processor->tokenizer());
  messages.push_back({{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", answer.text}}}}});
  s.messages = std::move(messages), s.prompt = std::move(chat);
  s.remember(std::move(prompt_ids), done);
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
